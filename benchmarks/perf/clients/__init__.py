"""The clients that are measured, each in a process of its own: `worker.py NAME < job > result`.

A client is a file here that defines either `calls(job)`, an asynchronous context manager that
gives a function from a number to the text of one reply, or `work(job)`, which does something as a
whole and returns what it found out. The files of rivals run in environments without archon, so
none of them imports anything from this package.
"""
