from sklearn.linear_model import LogisticRegression

from tritonforge import sklearn

classifier = sklearn(LogisticRegression())
