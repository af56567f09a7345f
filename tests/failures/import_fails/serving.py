from settings import LIMIT

from tritonforge import model

model(LIMIT)
