"""Explicit SIMD: a small vector language on top of llvmlite's builder.

Numba vectorises simple loops, but keeps no vector in a register from one loop to the next; the
inner loops of EM live from that. `Vectors` emits LLVM IR for whole registers of lanes; LLVM splits
them where the processor's are narrower, so the code is right everywhere and fast where `LANE_BYTES`
fits.

Offsets into arrays are counted in elements.
"""

from typing import NamedTuple

from llvmlite import ir
from numba.core import cgutils, types

from fastgmm.kernels import target
from fastgmm.kernels.layout import BLOCK

LANE_BYTES = target.vector_bytes(*target.describe())
"""Bytes of one vector register."""

MANY_REGISTERS = target.has_many_registers(*target.describe())
"""Whether there are 32 vector registers, not 16."""

GROUP = 4 if MANY_REGISTERS else 2
"""Vectors of points that the blocked loops hold at once: with 4 rows, what registers allow."""

GROUP_BYTES = GROUP * LANE_BYTES
"""Tiles are padded to whole groups of points."""

_INT = ir.IntType(64)
_INT32 = ir.IntType(32)
_BYTE = ir.IntType(8)


class ArrayArgument(NamedTuple):
    """An array as micro-kernels see it: C-contiguous, where nobody looks at its strides."""

    pointer: ir.Value
    """To the first element. Pointers have no type in LLVM: what they point to is said with use."""
    element: ir.Type
    shape: list
    strides: list
    """In bytes."""

    def address(self, builder, offset):
        """Pointer to an element."""
        return builder.gep(self.pointer, [offset], source_etype=self.element)

    def address_at(self, builder, indices):
        """Pointer to an element of an array of any layout."""
        offset = ir.Constant(_INT, 0)
        for i, stride in zip(indices, self.strides, strict=True):
            offset = builder.add(offset, builder.mul(i, stride))
        return builder.gep(self.pointer, [offset], source_etype=_BYTE)

    def behind(self, builder, offset):
        """The same array without its first elements."""
        return self._replace(pointer=self.address(builder, offset))

    def part(self, builder, index):
        """Element `index` of the first axis, an array too."""
        offset = index
        for length in self.shape[1:]:
            offset = builder.mul(offset, length)
        return self.behind(builder, offset)._replace(shape=self.shape[1:], strides=self.strides[1:])


def strides_of(builder, shape, itemsize):
    """Strides of a C-contiguous array, in bytes."""
    strides = [itemsize]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    return strides


def _without_type(builder, pointer):
    """A pointer of Numba's as an opaque one, to which nobody can ask what it points to.

    As long as llvmlite has both, its casts take them for the same type, and change nothing.
    """
    opaque = builder.gep(pointer, [ir.Constant(_INT, 0)], source_etype=_BYTE)
    opaque.type = ir.PointerType()
    return opaque


def unpack_arguments(context, builder, signature, args):
    """The arguments of a micro-kernel: `ArrayArgument` for arrays, LLVM values for the others."""
    unpacked = []
    for numba_type, value in zip(signature.args, args, strict=True):
        if isinstance(numba_type, types.Array):
            array = context.make_array(numba_type)(context, builder, value)
            shape, strides = (
                cgutils.unpack_tuple(builder, x) for x in (array.shape, array.strides)
            )
            element = context.get_data_type(numba_type.dtype)
            value = ArrayArgument(_without_type(builder, array.data), element, shape, strides)
        unpacked.append(value)
    return unpacked


class Vectors:
    """Emitter of vector code for one float type.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    dtype : numba type
        ``float64`` or ``float32``: the type of a lane.
    """

    def __init__(self, builder, dtype):
        self.builder = builder
        self.double = dtype == types.float64
        self.itemsize = 8 if self.double else 4
        self.lanes = LANE_BYTES // self.itemsize
        self.scalar = ir.DoubleType() if self.double else ir.FloatType()
        self.bits = ir.IntType(8 * self.itemsize)
        self.type = ir.VectorType(self.scalar, self.lanes)
        self.int_type = ir.VectorType(self.bits, self.lanes)

    # -- constants and lane traffic ----------------------------------------------------------------
    def index(self, value):
        """Integer constant for offsets."""
        return ir.Constant(_INT, value)

    def constant(self, value):
        """Vector with `value` in every lane."""
        return ir.Constant(self.type, [float(value)] * self.lanes)

    def int_constant(self, value):
        """Vector of integers as wide as the lanes."""
        return ir.Constant(self.int_type, [value] * self.lanes)

    def splat(self, scalar):
        """Copy a scalar, of this type or another, to every lane."""
        undefined = ir.Constant(ir.VectorType(scalar.type, self.lanes), ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
        mask = ir.Constant(ir.VectorType(_INT32, self.lanes), [0] * self.lanes)
        return self.builder.shuffle_vector(first, undefined, mask)

    def load(self, array, offset):
        """Load one vector of neighbours."""
        address = array.address(self.builder, offset)
        return self.builder.load(address, align=self.itemsize, typ=self.type)

    def load_bits(self, array, offset):
        """Load one vector of integers as wide as the lanes."""
        address = array.address(self.builder, offset)
        return self.builder.load(address, align=self.itemsize, typ=self.int_type)

    def store(self, value, array, offset):
        """Store one vector of neighbours."""
        self.builder.store(value, array.address(self.builder, offset), align=self.itemsize)

    def offsets(self, count):
        """An array of so many offsets on the stack, uninitialised."""
        room = cgutils.alloca_once(self.builder, _INT, size=count)
        return ArrayArgument(
            _without_type(self.builder, room), _INT, [self.index(count)], [self.index(8)]
        )

    def number(self, array, offset):
        """Load one element."""
        return self.builder.load(array.address(self.builder, offset), typ=array.element)

    def whole_number(self, array, offset):
        """Load one element, a whole number, as an integer."""
        return self.builder.fptosi(self.number(array, offset), _INT)

    def is_set(self, flag):
        """Whether a scalar of this type is not zero."""
        return self.builder.fcmp_unordered("!=", flag, ir.Constant(self.scalar, 0.0))

    def put(self, number, array, offset):
        """Store one element."""
        self.builder.store(number, array.address(self.builder, offset))

    def broadcast(self, array, offset):
        """Load one element into every lane."""
        return self.splat(self.number(array, offset))

    def element(self, array, *indices):
        """Load one element of an array of any layout."""
        return self.builder.load(array.address_at(self.builder, indices), typ=array.element)

    def add_to(self, scalar, array, offset):
        """Add a scalar of this type to an element of a float64 array."""
        address = array.address(self.builder, offset)
        before = self.builder.load(address, typ=ir.DoubleType())
        self.builder.store(self.builder.fadd(before, self.widen(scalar)), address)

    def widen(self, scalar):
        """Scalar of this type as float64."""
        return scalar if self.double else self.builder.fpext(scalar, ir.DoubleType())

    def narrow(self, scalar):
        """Scalar of float64 as this type."""
        return scalar if self.double else self.builder.fptrunc(scalar, self.scalar)

    def add_numbers_to(self, vector, array, offset):
        """Add a vector of any length to neighbours in a float64 array."""
        wide = ir.VectorType(ir.DoubleType(), vector.type.count)
        address = array.address(self.builder, offset)
        old = self.builder.load(address, align=8, typ=wide)
        vector = vector if self.double else self.builder.fpext(vector, wide)
        self.builder.store(self.builder.fadd(old, vector), address, align=8)

    def add_sums_to(self, vectors, array, offset):
        """Add the sum of the lanes of each of `vectors` to neighbours in a float64 array."""
        for number, sums in enumerate(self.lane_sums(vectors)):
            self.add_numbers_to(sums, array, self.plus(offset, number * self.lanes))

    # -- arithmetic --------------------------------------------------------------------------------
    def add(self, a, b):
        """a + b."""
        return self.builder.fadd(a, b)

    def sub(self, a, b):
        """a - b."""
        return self.builder.fsub(a, b)

    def mul(self, a, b):
        """a * b."""
        return self.builder.fmul(a, b)

    def fma(self, a, b, c):
        """a * b + c, rounded once where the processor can.

        One instruction of LLVM's: it would take the product of two with the same factors only once,
        and then fuse neither.
        """
        return self._intrinsic("fmuladd", a, b, c)

    def maximum(self, a, b):
        """The larger of a and b; b where a is NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">", a, b), a, b)

    def sqrt(self, a):
        """Square root of every lane."""
        return self._intrinsic("sqrt", a)

    def _intrinsic(self, name, *operands):
        """One of LLVM's own functions, of vectors or of numbers."""
        kind = operands[0].type
        vector = isinstance(kind, ir.VectorType)
        bits = 64 if (kind.element if vector else kind) == ir.DoubleType() else 32
        name = f"llvm.{name}.{f'v{kind.count}' if vector else ''}f{bits}"
        function = self.builder.module.globals.get(name)
        if function is None:
            signature = ir.FunctionType(kind, [kind] * len(operands))
            function = ir.Function(self.builder.module, signature, name)
        return self.builder.call(function, operands)

    def transpose(self, rows):
        """Columns of a small matrix: from `lanes` vectors of w numbers, w vectors of `lanes`.

        Rows half the matrix apart are interleaved, again and again (a perfect shuffle; w is a power
        of two, at most `lanes`): about log2(lanes) instructions a vector.
        """
        parts = [[row] for row in rows]
        while len(parts) > 1:
            half = len(parts) // 2
            pairs = zip(parts[:half], parts[half:], strict=True)
            parts = [self._interleaved(upper, lower) for upper, lower in pairs]
        return parts[0]

    def _interleaved(self, upper, lower):
        """The numbers of two lists of vectors in turn, in vectors of at most `lanes`."""
        vectors = []
        for a, b in zip(upper, lower, strict=True):
            width = a.type.count
            order = [lane + side for lane in range(width) for side in (0, width)]
            for start in range(0, 2 * width, self.lanes):
                lanes = order[start : start + self.lanes]
                mask = ir.Constant(ir.VectorType(_INT32, len(lanes)), lanes)
                vectors.append(self.builder.shuffle_vector(a, b, mask))
        return vectors

    def horizontal_sums(self, vectors):
        """Sum of the lanes of each of `vectors`, as scalars."""
        folded = self.lane_sums(vectors)
        sums = []
        for n in range(len(vectors)):
            group, lane = divmod(n, self.lanes)
            sums.append(self.builder.extract_element(folded[group], ir.Constant(_INT32, lane)))
        return sums

    def lane_sums(self, vectors):
        """Sum of the lanes of each of `vectors`, in as few vectors as can be."""
        starts = range(0, len(vectors), self.lanes)
        return [self._folded(vectors[start : start + self.lanes]) for start in starts]

    def _folded(self, vectors):
        """Vector of the sums of the lanes of up to as many vectors as it has lanes.

        Pairs of vectors are folded into one, again and again: some three instructions a vector
        instead of six.
        """
        group = [*vectors, *[self.constant(0.0)] * (self.lanes - len(vectors))]
        step = 1
        while len(group) > 1:
            pairs = zip(group[::2], group[1::2], strict=True)
            group = [self._fold(a, b, step) for a, b in pairs]
            step *= 2
        return group[0]

    def _fold(self, a, b, step):
        """Lanes `step` apart added up: those of a where the lane's bit `step` is 0, else of b.

        A blend and one shuffle, where taking even and odd lanes would need two shuffles.
        """
        n = self.lanes
        straight = [lane + n if lane & step else lane for lane in range(n)]
        crossed = [(lane ^ step) + n if lane & step else lane ^ step for lane in range(n)]
        mask = ir.VectorType(_INT32, n)
        return self.builder.fadd(
            self.builder.shuffle_vector(a, b, ir.Constant(mask, straight)),
            self.builder.shuffle_vector(a, b, ir.Constant(mask, crossed)),
        )

    def part(self, vectors, first, count):
        """Vector of `count` numbers from `first` on, of up to two that begin side by side."""
        n = vectors[0].type.count
        begin = min(first // n, len(vectors) - 1)
        a, b = vectors[begin], vectors[min(begin + 1, len(vectors) - 1)]
        lanes = [first - begin * n + lane for lane in range(count)]
        mask = ir.Constant(ir.VectorType(_INT32, count), lanes)
        return self.builder.shuffle_vector(a, b, mask)

    def filled(self, vector, count):
        """A vector with zeros behind its numbers, up to `count`."""
        n = vector.type.count
        lanes = [min(lane, n) for lane in range(count)]
        mask = ir.Constant(ir.VectorType(_INT32, count), lanes)
        return self.builder.shuffle_vector(vector, ir.Constant(vector.type, None), mask)

    # -- control -----------------------------------------------------------------------------------
    def at(self, row, stride, column=None):
        """Offset ``row * stride + column``."""
        offset = self.builder.mul(row, stride)
        return offset if column is None else self.builder.add(offset, column)

    def plus(self, offset, number):
        """Offset plus a Python integer."""
        return self.builder.add(offset, self.index(number)) if number else offset

    def loop(self, start, stop, step, carried, body):
        """Emit ``for i in range(start, stop, step): carried = body(i, carried)``.

        Parameters
        ----------
        start, stop : int or LLVM integer
        step : int
        carried : list of LLVM values
            What passes from one turn to the next, in registers.
        body : callable (index, list of values) -> list of values

        Returns
        -------
        list of LLVM values
            `carried` after the last turn.
        """
        builder = self.builder
        start, stop = (self.index(x) if isinstance(x, int) else x for x in (start, stop))
        before = builder.block
        head = builder.append_basic_block("loop.head")
        inside = builder.append_basic_block("loop.body")
        after = builder.append_basic_block("loop.end")
        builder.branch(head)
        builder.position_at_end(head)
        i = builder.phi(_INT)
        i.add_incoming(start, before)
        values = [builder.phi(value.type) for value in carried]
        for phi, value in zip(values, carried, strict=True):
            phi.add_incoming(value, before)
        builder.cbranch(builder.icmp_signed("<", i, stop), inside, after)
        builder.position_at_end(inside)
        results = body(i, list(values)) or []
        end_of_body = builder.block
        i.add_incoming(self.plus(i, step), end_of_body)
        for phi, value in zip(values, results, strict=True):
            phi.add_incoming(value, end_of_body)
        builder.branch(head)
        builder.position_at_end(after)
        return values

    def lesser(self, a, b):
        """The lesser of two integers."""
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def greater(self, a, b):
        """The greater of two integers."""
        return self.builder.select(self.builder.icmp_signed(">", a, b), a, b)

    def join(self, *arms):
        """The value of whichever arm, a pair of value and block, control came from."""
        phi = self.builder.phi(arms[0][0].type)
        for value, block in arms:
            phi.add_incoming(value, block)
        return phi

    def blocks(self, stop, carried, body):
        """Emit ``body(i, rows, carried)`` for rows 0 to `stop`: `BLOCK` at a time, then the rest.

        The rest is a block of its own, for each possible height, of which one runs.
        """
        whole = self.builder.and_(stop, self.index(-BLOCK))
        rest = self.builder.sub(stop, whole)
        carried = self.loop(0, whole, BLOCK, carried, lambda i, v: body(i, BLOCK, v))
        for height in range(1, BLOCK):
            runs = self.builder.icmp_signed("==", rest, self.index(height))
            end = self.builder.select(runs, stop, whole)
            carried = self.loop(whole, end, height, carried, lambda i, v: body(i, height, v))  # noqa: B023
        return carried

    def by_features(self, d, few=None, many=None):
        """Emit ``few(n)`` for every n up to `BLOCK`, and ``many()``; the one for d runs.

        What is None is not emitted: d is known not to ask for it.
        """
        builder = self.builder
        for n in range(1, BLOCK + 1) if few is not None else ():
            with builder.if_then(builder.icmp_signed("==", d, self.index(n))):
                few(n)
        if many is not None:
            with builder.if_then(builder.icmp_signed(">", d, self.index(BLOCK))):
                many()

    def any(self, mask):
        """Whether any lane of a comparison is true."""
        bits = ir.IntType(self.lanes)
        return self.builder.icmp_unsigned(
            "!=", self.builder.bitcast(mask, bits), ir.Constant(bits, 0)
        )

    def number_of(self, mask):
        """How many lanes of a comparison are true."""
        bits = self.builder.bitcast(mask, ir.IntType(self.lanes))
        return self.builder.zext(self.builder.ctpop(bits), _INT)

    def lowest_bit(self, number):
        """Place of the lowest bit that is set in an integer that is not zero."""
        return self.builder.cttz(number, ir.Constant(ir.IntType(1), 1))

    def highest_bit(self, number):
        """Place of the highest one."""
        zeros = self.builder.ctlz(number, ir.Constant(ir.IntType(1), 1))
        return self.builder.sub(self.index(63), zeros)
