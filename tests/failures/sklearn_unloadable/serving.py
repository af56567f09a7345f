import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tritonforge import String, sklearn


def load() -> object:
    words = CountVectorizer(lowercase=False, token_pattern=r"[a-z]+(?![a-z0-9])")
    return make_pipeline(words, LogisticRegression()).fit(["good film", "bad film"], [1, 0])


classifier = sklearn(load, inputs={"text": String[np.ndarray, "batch"]})
