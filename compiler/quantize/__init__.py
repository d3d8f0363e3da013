"""Quantisation of graphs and the ranges of converters."""
