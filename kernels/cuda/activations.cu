// Activations alone, and fused with the bias of a linear layer; PReLU and maxout.
#include "activations.cuh"
#include "columns.cuh"

// y = f(x)
extern "C" __global__ void __launch_bounds__(THREADS)
activation(int code, REAL alpha, const STORE* x, STORE* y, long long n) {
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(x, i, n);
        for (int k = 0; k < WIDTH; k++) pack.v[k] = forward(code, pack.v[k], alpha);
        store(y, i, n, pack);
    }
}

// dx = dy * f'(saved)
extern "C" __global__ void __launch_bounds__(THREADS)
activation_backward(int code, REAL alpha, const STORE* dy, const STORE* saved, STORE* dx,
                    long long n) {
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(dy, i, n), s = load(saved, i, n);
        for (int k = 0; k < WIDTH; k++) pack.v[k] = gradient(code, pack.v[k], s.v[k], alpha);
        store(dx, i, n, pack);
    }
}

// WIDTH elements of a row vector from `column` on, which begins again at its end.
__device__ __forceinline__ Pack load_cyclic(const STORE* x, long long column, long long columns) {
    if (column + WIDTH <= columns) return load(x, column, columns);
    Pack pack;
    for (int k = 0; k < WIDTH; k++) {
        pack.v[k] = x[column];
        column = column + 1 < columns ? column + 1 : 0;
    }
    return pack;
}

// y = f(z + bias), and z += bias where the gradient needs it. The matrix is read as one array, so
// that rows of any length are loaded 16 bytes at a time; the column is carried along, not divided.
extern "C" __global__ void __launch_bounds__(THREADS)
bias_activation(int code, REAL alpha, STORE* z, const STORE* bias, STORE* y, int keep_z,
                long long n, long long columns) {
    const long long advance = stride() % columns;
    long long column = first() % columns;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(z, i, n), b = load_cyclic(bias, column, columns);
        for (int k = 0; k < WIDTH; k++) pack.v[k] += b.v[k];
        if (keep_z) store(z, i, n, pack);
        for (int k = 0; k < WIDTH; k++) pack.v[k] = forward(code, pack.v[k], alpha);
        store(y, i, n, pack);
        column += advance;
        if (column >= columns) column -= columns;
    }
}

// dz = dy * f'(saved), dbias = sum of dz over rows
extern "C" __global__ void __launch_bounds__(THREADS)
bias_activation_backward(int code, REAL alpha, const STORE* dy, const STORE* saved, STORE* dz,
                         STORE* dbias, long long rows, long long columns, REAL* partial,
                         unsigned* done) {
    column_sums(rows, columns, partial, done, dbias, [&](long long i, long long end) {
        Pack pack = load(dy, i, end), s = load(saved, i, end);
        for (int k = 0; k < WIDTH; k++) pack.v[k] = gradient(code, pack.v[k], s.v[k], alpha);
        store(dz, i, end, pack);
        return pack;
    });
}

// dbias = sum of dy over rows
extern "C" __global__ void __launch_bounds__(THREADS)
bias_gradient(const STORE* dy, STORE* dbias, long long rows, long long columns, REAL* partial,
              unsigned* done) {
    column_sums(rows, columns, partial, done, dbias,
                [&](long long i, long long end) { return load(dy, i, end); });
}

// y = x where x > 0, else slope x: a slope for each of `columns`, or one for all
extern "C" __global__ void __launch_bounds__(THREADS)
prelu(const STORE* x, const STORE* slope, STORE* y, long long columns, long long n) {
    const long long advance = stride() % columns;
    long long column = first() % columns;
    for (long long i = first(); i < n; i += stride()) {
        Pack pack = load(x, i, n), s = load_cyclic(slope, column, columns);
        for (int k = 0; k < WIDTH; k++)
            if (!(pack.v[k] > 0)) pack.v[k] *= s.v[k];
        store(y, i, n, pack);
        column += advance;
        if (column >= columns) column -= columns;
    }
}

// dx = dy where x > 0, else slope dy; dslope = sum of dy min(x, 0) over rows
extern "C" __global__ void __launch_bounds__(THREADS)
prelu_backward(const STORE* dy, const STORE* x, const STORE* slope, STORE* dx, STORE* dslope,
               long long rows, long long columns, REAL* partial, unsigned* done) {
    column_sums(rows, columns, partial, done, dslope, [&](long long i, long long end) {
        Pack d = load(dy, i, end), values = load(x, i, end);
        const Pack s = load(slope, columns - (end - i), columns);
        Pack product;
        for (int k = 0; k < WIDTH; k++) {
            product.v[k] = d.v[k] * at_most(0, values.v[k]);
            if (!(values.v[k] > 0)) d.v[k] *= s.v[k];
        }
        store(dx, i, end, d);
        return product;
    });
}

// For each pack of a matrix: f(row, column)
template <class F>
__device__ __forceinline__ void each_pack(long long rows, long long columns, F f) {
    const long long packs = (columns + WIDTH - 1) / WIDTH;
    for (long long i = first() / WIDTH; i < rows * packs; i += stride() / WIDTH)
        f(i / packs, i % packs * WIDTH);
}

// y = the largest of `pieces` of z + bias, and which it is: the first of equals, or the first NaN
extern "C" __global__ void __launch_bounds__(THREADS)
maxout(const STORE* z, const STORE* bias, STORE* y, int* piece, int pieces, long long columns,
       long long n) {
    each_pack(n / columns, columns, [&](long long row, long long column) {
        Pack largest = {}, which = {};
        for (int p = 0; p < pieces; p++) {
            const long long begin = (row * pieces + p) * columns, of_bias = p * columns;
            const Pack x = load(z, begin + column, begin + columns);
            const Pack b = load(bias, of_bias + column, of_bias + columns);
            for (int k = 0; k < WIDTH; k++) {
                const REAL value = x.v[k] + b.v[k], best = largest.v[k];
                if (p == 0 || value > best || (value != value && best == best)) {
                    largest.v[k] = value;
                    which.v[k] = p;
                }
            }
        }
        store(y, row * columns + column, (row + 1) * columns, largest);
        store(piece, row * columns + column, (row + 1) * columns, which);
    });
}

// dz = dy at the largest piece, else 0
extern "C" __global__ void __launch_bounds__(THREADS)
maxout_backward(const STORE* dy, const int* piece, STORE* dz, int pieces, long long columns,
                long long n) {
    each_pack(n / columns, columns, [&](long long row, long long column) {
        const Pack d = load(dy, row * columns + column, (row + 1) * columns);
        const Pack which = load(piece, row * columns + column, (row + 1) * columns);
        for (int p = 0; p < pieces; p++) {
            const long long begin = (row * pieces + p) * columns;
            Pack gradient;
            for (int k = 0; k < WIDTH; k++) gradient.v[k] = which.v[k] == p ? d.v[k] : 0;
            store(dz, begin + column, begin + columns, gradient);
        }
    });
}
