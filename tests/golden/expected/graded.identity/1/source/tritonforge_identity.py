"""Gives tensors back: for results of a pipeline that Triton's ensembles can't give by themselves."""


def identity(label, same, given):
    return (label, same, given,)
