"""Signals: patterns in a day's redemptions that a person should look at.

A signal never refuses anything and judges nobody. It explains what it saw, and opens a case. Each
stands in one file of this folder with a ``SIGNAL`` in it; a further one joins as one file more.
"""
