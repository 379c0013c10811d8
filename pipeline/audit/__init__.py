"""Audits: a lower bound on epsilon, found by attacking releases of made-up people, held against what is claimed.

What is asked is not how the code is written but what comes out of it: bounding, noise, selection, remainders, least
squares, layout and ledger, run as they are through ``pipeline.library``. If the claim holds, no event can be much
likelier on one of two neighbouring inputs than on the other; an event that surely is proves that it does not.

Choosing an event on some runs and bounding its probabilities on others is from Ding et al., "Detecting Violations of
Differential Privacy", CCS 2018, and Bichsel, Steffen, Bogunovic and Vechev, "DP-Sniper: Black-Box Discovery of
Differential Privacy Violations using Classifiers", IEEE S&P 2021. Clopper-Pearson bounds on what neighbouring inputs
give, and inputs that differ in several people, are from Jagielski, Ullman and Oprea, "Auditing Differentially Private
Machine Learning", NeurIPS 2020. Holding a claim at the point (epsilon, delta) where it is weakest is from Nasr et al.,
"Tight Auditing of Differentially Private Machine Learning", USENIX Security 2023. Own are the inputs and statistics,
one for each rule of a release, and that each is held against what is claimed of the levels that it sees.
"""
