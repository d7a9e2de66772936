// Moments and sums of the columns of a matrix, and the gradient through them.
//
// A matrix is taken in the same parts everywhere: a block is blockDim.x packs of columns wide and takes
// every gridDim.y-th group of blockDim.y rows.
#include "columns.cuh"

__device__ __forceinline__ long long first_column() {
    return (blockIdx.x * (long long)blockDim.x + threadIdx.x) * WIDTH;
}

// Call f(row, i, end) for each of this thread's packs: it is at place i, its row ends at `end`.
template <class F>
__device__ __forceinline__ void each_row(long long rows, long long columns, F f) {
    const long long column = first_column();
    if (column >= columns) return;
    const long long step = gridDim.y * (long long)blockDim.y;
    for (long long row = blockIdx.y * (long long)blockDim.y + threadIdx.y; row < rows; row += step)
        f(row, row * columns + column, (row + 1) * columns);
}

// Elements of a row vector that belong to this thread's columns; beyond its end they are 0.
template <class T>
__device__ __forceinline__ Pack load_columns(const T* x, long long columns) {
    return first_column() < columns ? load(x, first_column(), columns) : Pack{};
}

// Some rows in WIDTH columns: their number, mean, and sum of squared deviations from it.
struct Moments {
    REAL count, mean[WIDTH], squares[WIDTH];

    // One more row (Welford 1962).
    __device__ void add(const Pack& x) {
        count += 1;
        const REAL inverse = 1 / count;
        for (int k = 0; k < WIDTH; k++) {
            const REAL delta = x.v[k] - mean[k];
            mean[k] += delta * inverse;
            squares[k] += delta * (x.v[k] - mean[k]);
        }
    }
    // The rows of another (Chan, Golub & LeVeque 1979).
    __device__ void merge(const Moments& other) {
        if (other.count == 0) return;
        const REAL total = count + other.count, share = other.count / total;
        for (int k = 0; k < WIDTH; k++) {
            const REAL delta = other.mean[k] - mean[k];
            mean[k] += delta * share;
            squares[k] += other.squares[k] + delta * delta * (count * share);
        }
        count = total;
    }
};

// Sums over some rows in WIDTH columns: of dy, and of dy times the normalised x.
struct Sums {
    REAL dy[WIDTH], product[WIDTH];

    __device__ void merge(const Sums& other) {
        for (int k = 0; k < WIDTH; k++) {
            dy[k] += other.dy[k];
            product[k] += other.product[k];
        }
    }
};

// Merge over threadIdx.y; the threads with threadIdx.y == 0 have the result. Two calls need a
// barrier in between.
template <class Part>
__device__ void merge_rows_of_block(Part& part) {
    __shared__ Part shared[THREADS];
    const int thread = threadIdx.y * blockDim.x + threadIdx.x;
    shared[thread] = part;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if (threadIdx.y < half) {
            part.merge(shared[thread + half * blockDim.x]);
            shared[thread] = part;
        }
    }
}

// Merge what all threads know of the same columns, in a fixed order, and tell whether this thread
// has the result. `partial` has a Part for each thread of a block's first row, for every block.
template <class Part>
__device__ bool merge_columns(Part& part, REAL* partial, unsigned* done) {
    merge_rows_of_block(part);
    if (gridDim.y > 1) {
        const unsigned width = gridDim.x * blockDim.x;
        Part* const parts = (Part*)partial + blockIdx.x * blockDim.x + threadIdx.x;
        if (threadIdx.y == 0) parts[blockIdx.y * width] = part;
        if (!last_block(done + blockIdx.x, gridDim.y)) return false;
        part = {};
        for (unsigned group = threadIdx.y; group < gridDim.y; group += blockDim.y)
            part.merge(parts[group * width]);
        merge_rows_of_block(part);
    }
    return threadIdx.y == 0;
}

// What this thread's rows give, of x - origin: the first row is an origin that leaves small numbers
// where x is all but constant.
__device__ __forceinline__ Moments column_moments(const STORE* x, const Pack& origin,
                                                  long long rows, long long columns) {
    Moments part = {};
    each_row(rows, columns, [&](long long row, long long i, long long end) {
        Pack pack = load(x, i, end);
        for (int k = 0; k < WIDTH; k++) pack.v[k] -= origin.v[k];
        part.add(pack);
    });
    return part;
}

// dy at place i, or with `relu` 0 where y is not above 0. Without a branch: loads of several rows are
// under way at a time.
__device__ __forceinline__ Pack load_gradient(const STORE* dy, const STORE* y, int relu,
                                              long long i, long long end) {
    Pack pack = load(dy, i, end);
    const Pack out = load(relu ? y : dy, i, end);
    for (int k = 0; k < WIDTH; k++) pack.v[k] = out.v[k] > 0 || !relu ? pack.v[k] : 0;
    return pack;
}

// What this thread's rows add up to, with xhat = (x - mean) / sqrt(var + eps).
__device__ __forceinline__ Sums column_sums(const STORE* dy, const STORE* y, const STORE* x,
                                            const REAL* mean, const REAL* var, REAL eps, int relu,
                                            long long rows, long long columns) {
    const Pack m = load_columns(mean, columns);
    Pack inverse = load_columns(var, columns);
    for (int k = 0; k < WIDTH; k++) inverse.v[k] = 1 / sqrt(inverse.v[k] + eps);
    Sums part = {};
    each_row(rows, columns, [&](long long row, long long i, long long end) {
        const Pack d = load_gradient(dy, y, relu, i, end), p = load(x, i, end);
        for (int k = 0; k < WIDTH; k++) {
            part.dy[k] += d.v[k];
            part.product[k] += d.v[k] * ((p.v[k] - m.v[k]) * inverse.v[k]);
        }
    });
    return part;
}

// dx = gamma / sqrt(var + eps) * dy, where mean and var are constants. If they are those of `count`
// rows, (dbeta + xhat * dgamma) / count is first taken from dy, with xhat = (x - mean) / sqrt(var +
// eps).
template <class T>
__device__ __forceinline__ void column_gradient(const STORE* dy, const STORE* y,
                                                const STORE* x, const STORE* gamma,
                                                const REAL* mean, const REAL* var,
                                                const T* dgamma, const T* dbeta, STORE* dx,
                                                REAL eps, long long count, int relu,
                                                long long rows, long long columns) {
    const Pack m = load_columns(mean, columns), v = load_columns(var, columns);
    Pack constant = load_columns(dbeta, columns), slope = load_columns(dgamma, columns);
    Pack factor = load_columns(gamma, columns);
    for (int k = 0; k < WIDTH; k++) {
        const REAL inverse = 1 / sqrt(v.v[k] + eps);
        factor.v[k] *= inverse;
        constant.v[k] = count ? constant.v[k] / count : 0;
        slope.v[k] = count ? slope.v[k] * inverse / count : 0;
    }
    each_row(rows, columns, [&](long long row, long long i, long long end) {
        Pack pack = load_gradient(dy, y, relu, i, end), p = load(x, i, end);
        for (int k = 0; k < WIDTH; k++) {
            pack.v[k] -= constant.v[k] + (p.v[k] - m.v[k]) * slope.v[k];
            pack.v[k] *= factor.v[k];
        }
        store(dx, i, end, pack);
    });
}

__device__ __forceinline__ void write_sums(const Sums& sums, STORE* dgamma, STORE* dbeta,
                                           long long columns) {
    for (int k = 0; k < WIDTH; k++)
        if (first_column() + k < columns) {
            dgamma[first_column() + k] = sums.product[k];
            dbeta[first_column() + k] = sums.dy[k];
        }
}
