from tritonforge import model
