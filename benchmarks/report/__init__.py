"""``python -m benchmarks.report``: whether fastgmm got faster, on one HTML page without a network.

`results` reads asv's files, `changes` names the main figures and says what has changed in them,
`charts` draws, `page` puts drawings and tables into a page.
"""
