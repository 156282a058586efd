"""The forms of a density and its moments, a file each: the passes' inner parts.

`listed` and `reading_once` hold what forms share. The file of a form holds ``statistics``, which
makes the kernel of its statistics, and under names that all of them have in common the parts that
other passes are filled in with (`fastgmm.kernels.compile.filled_in`):

- ``prepare(projected, central)`` marks the components that are near the origin;
- ``distances_to_all(tile, points, means, factors, projected, central, scratch, distances)`` finds
  the squared distances (k, stride) of a tile's points to all components;
- ``distances_to_listed(tile, points, near, begin, end, operands, room, scratch, distances)`` finds
  those to the components near[begin:end]: row i is component near[i]'s. The operands are means,
  factors, projected and central; room (2, k, d) is for those that have to lie side by side;
- ``weigh`` makes responsibilities of distances;
- ``add_moments_of_listed(tile, points, near, count, means, distances, responsibilities, scratch,
  near_sums, blocks)`` adds the moments of the components near[:count];
- ``add_moments_of_all(tile, points, means, distances, responsibilities, sums)`` adds those of all
  components, in forms that read every row once (`fastgmm.kernels.forms.reading_once`);
- ``KEEPS_DISTANCES`` says that adding moments needs the distances, which responsibilities overwrite
  else;
- ``SUMS_ABOUT_ORIGIN`` says that those moments are about the origin;
- ``LIKELY_ALONE`` says that these forms take distances of `fastgmm.kernels.likely_distances`;
- ``POOLED`` says that second moments of all components together, about the origin, stand behind
  the sums of the components;
- ``FEW_APART`` says that ``statistics`` also takes whether features are few, to make a kernel for
  these.
"""

from importlib import import_module

from fastgmm.kernels.layout import Forms

_ELSEWHERE = {Forms("shared_cholesky", "pooled"): "shared_pooled"}
"""Files that have not the name of their density form."""


def parts_of(forms):
    """The file of a pair of forms: the others are not even imported."""
    return of_density(_ELSEWHERE.get(forms, forms.density))


def of_density(name):
    """A file of parts by its name; that of a density form serves wherever no moments are summed."""
    return import_module(f"fastgmm.kernels.forms.{name}")
