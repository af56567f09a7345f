from tritonforge import model

def normalize(features:
    return features
