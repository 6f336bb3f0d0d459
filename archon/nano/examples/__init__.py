"""Training examples of the nano family: four tasks, every role, in the words of the layers.

A file for each task says what a right and a wrong answer looks like, how it is thought out,
reviewed, checked and tested. A file for each kind of role renders prompts with the `nano` profile
of the layer's own templates, so that a changed template makes other examples, and `mixing` draws
from all of them. Everything comes from the `train` split.
"""
