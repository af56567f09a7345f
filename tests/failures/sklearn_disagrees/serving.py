import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from tritonforge import String, sklearn


def load() -> object:
    words = CountVectorizer(stop_words=["is"], ngram_range=(1, 2))
    return make_pipeline(words, LogisticRegression()).fit(["film is good", "film is bad"], [1, 0])


classifier = sklearn(load, inputs={"text": String[np.ndarray, "batch"]}, examples={"text": ["film is good"]})
