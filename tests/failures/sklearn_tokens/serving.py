import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tritonforge import String, sklearn


def load() -> object:
    words = CountVectorizer(token_pattern=r"(?u)\b\w[\w-]*\b")
    return make_pipeline(words, LogisticRegression()).fit(["schön"] * 4 + ["übel"] * 6, ["pos"] * 4 + ["neg"] * 6)


classifier = sklearn(load, inputs={"text": String[np.ndarray, "batch"]})
