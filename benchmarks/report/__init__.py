"""``python -m benchmarks.report``: Write a page that says whether fastgmm got faster.

It is one HTML file that needs no network.

`results` reads asv's files, `changes` names the main figures and says what has changed in them,
`charts` draws, `page` puts drawings and tables into `page.html`.
"""
