"""Formats: what other programs read, written from a complete store."""


def convert(*a):
    raise NotImplementedError
