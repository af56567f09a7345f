from tritonforge import model

MODEL = model
