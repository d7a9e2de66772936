// Batch normalisation (Ioffe & Szegedy 2015), column by column, and layer normalisation (Ba et al.
// 2016), row by row.
//
// What works on columns takes a matrix in the same parts: a block is blockDim.x packs of columns
// wide and takes every gridDim.y-th group of blockDim.y rows. Where one block has all the rows
// (gridDim.y == 1), it goes on from the sums to the result; otherwise a second launch does.
#include "columns.cuh"
#include "rows.cuh"

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

// y = (x - mean) / sqrt(var + eps) * gamma + beta, with `relu` at least 0
__device__ __forceinline__ void normalize_columns(const STORE* x, const STORE* gamma,
                                                  const STORE* beta, const REAL* mean,
                                                  const REAL* var, STORE* y, REAL eps, int relu,
                                                  long long rows, long long columns) {
    const Pack m = load_columns(mean, columns), v = load_columns(var, columns);
    const Pack b = load_columns(beta, columns);
    Pack factor = load_columns(gamma, columns);
    for (int k = 0; k < WIDTH; k++) factor.v[k] /= sqrt(v.v[k] + eps);
    each_row(rows, columns, [&](long long row, long long i, long long end) {
        Pack pack = load(x, i, end);
        for (int k = 0; k < WIDTH; k++) {
            const REAL value = (pack.v[k] - m.v[k]) * factor.v[k] + b.v[k];
            pack.v[k] = relu && value < 0 ? 0 : value;
        }
        store(y, i, end, pack);
    });
}

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_inference(const STORE* x, const STORE* gamma, const STORE* beta, const REAL* mean,
                     const REAL* var, STORE* y, REAL eps, int relu, long long rows,
                     long long columns) {
    normalize_columns(x, gamma, beta, mean, var, y, eps, relu, rows, columns);
}

// Mean and variance of each column, and their running averages; then y, if gridDim.y == 1. The
// moments are those of x - (first row), which is small where x is all but constant.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_forward(const STORE* x, const STORE* gamma, const STORE* beta, REAL* running_mean,
                   REAL* running_var, REAL* mean, REAL* var, STORE* y, REAL eps, REAL momentum,
                   int relu, long long rows, long long columns, REAL* partial, unsigned* done) {
    const Pack origin = load_columns(x, columns);
    Moments part = {};
    each_row(rows, columns, [&](long long row, long long i, long long end) {
        Pack pack = load(x, i, end);
        for (int k = 0; k < WIDTH; k++) pack.v[k] -= origin.v[k];
        part.add(pack);
    });
    if (merge_columns(part, partial, done))
        for (int k = 0; k < WIDTH; k++) {
            const long long column = first_column() + k;
            if (column >= columns) break;
            const REAL m = origin.v[k] + part.mean[k], unbiased = part.squares[k] / (rows - 1);
            mean[column] = m;
            var[column] = part.squares[k] / rows;
            running_mean[column] += momentum * (m - running_mean[column]);
            running_var[column] += momentum * (unbiased - running_var[column]);
        }
    if (gridDim.y > 1) return;
    __syncthreads();
    normalize_columns(x, gamma, beta, mean, var, y, eps, relu, rows, columns);
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

// dx = gamma / sqrt(var + eps) * dy, where mean and var are constants. If they are those of x,
// (dbeta + xhat * dgamma) / rows is first taken from dy, with xhat = (x - mean) / sqrt(var + eps).
__device__ __forceinline__ void column_gradient(const STORE* dy, const STORE* y,
                                                const STORE* x, const STORE* gamma,
                                                const REAL* mean, const REAL* var,
                                                const STORE* dgamma, const STORE* dbeta, STORE* dx,
                                                REAL eps, int batch_statistics, int relu,
                                                long long rows, long long columns) {
    const Pack m = load_columns(mean, columns), v = load_columns(var, columns);
    Pack constant = load_columns(dbeta, columns), slope = load_columns(dgamma, columns);
    Pack factor = load_columns(gamma, columns);
    for (int k = 0; k < WIDTH; k++) {
        const REAL inverse = 1 / sqrt(v.v[k] + eps);
        factor.v[k] *= inverse;
        constant.v[k] = batch_statistics ? constant.v[k] / rows : 0;
        slope.v[k] = batch_statistics ? slope.v[k] * inverse / rows : 0;
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

extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_input_gradient(const STORE* dy, const STORE* y, const STORE* x, const STORE* gamma,
                          const REAL* mean, const REAL* var, const STORE* dgamma,
                          const STORE* dbeta, STORE* dx, REAL eps, int batch_statistics, int relu,
                          long long rows, long long columns) {
    column_gradient(dy, y, x, gamma, mean, var, dgamma, dbeta, dx, eps, batch_statistics, relu,
                    rows, columns);
}

__device__ __forceinline__ void write_sums(const Sums& sums, STORE* dgamma, STORE* dbeta,
                                           long long columns) {
    for (int k = 0; k < WIDTH; k++)
        if (first_column() + k < columns) {
            dgamma[first_column() + k] = sums.product[k];
            dbeta[first_column() + k] = sums.dy[k];
        }
}

// dbeta = sum of dy, dgamma = sum of dy * xhat, over rows; then dx, if gridDim.y == 1
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_backward(const STORE* dy, const STORE* y, const STORE* x, const STORE* gamma,
                    const REAL* mean, const REAL* var, STORE* dgamma, STORE* dbeta, STORE* dx,
                    REAL eps, int batch_statistics, int relu, long long rows, long long columns,
                    REAL* partial, unsigned* done) {
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
    if (merge_columns(part, partial, done)) write_sums(part, dgamma, dbeta, columns);
    if (gridDim.y > 1) return;
    __syncthreads();
    column_gradient(dy, y, x, gamma, mean, var, dgamma, dbeta, dx, eps, batch_statistics, relu,
                    rows, columns);
}

// dbeta = sum of dy, dgamma = sum of dy * (x - mean) * inv_std, over rows that each have a mean
extern "C" __global__ void __launch_bounds__(THREADS)
layer_norm_parameter_gradients(const STORE* dy, const STORE* x, const REAL* mean,
                               const REAL* inv_std, STORE* dgamma, STORE* dbeta, long long rows,
                               long long columns, REAL* partial, unsigned* done) {
    Sums part = {};
    each_row(rows, columns, [&](long long row, long long i, long long end) {
        const Pack d = load(dy, i, end), p = load(x, i, end);
        const REAL m = mean[row], inverse = inv_std[row];
        for (int k = 0; k < WIDTH; k++) {
            part.dy[k] += d.v[k];
            part.product[k] += d.v[k] * ((p.v[k] - m) * inverse);
        }
    });
    if (merge_columns(part, partial, done)) write_sums(part, dgamma, dbeta, columns);
}

// y = (x - mean) * inv_std * gamma + beta with each row's own mean and deviation. What the first
// pass leaves of the mean by rounding, the second corrects (Chan, Golub & LeVeque 1983).
template <class Team>
__device__ void layer_norm_rows(Team team, const STORE* x, const STORE* gamma, const STORE* beta,
                                REAL* mean, REAL* inv_std, STORE* y, REAL eps, long long rows,
                                int columns) {
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(x, row, columns, 0);
        REAL sum = 0, rest = 0, squares = 0;
        team.each([&](long long i, int column, const Pack& pack) {
            for (int k = 0; k < WIDTH; k++) sum += pack.v[k];
        });
        const REAL near = team.sum(sum) / columns;
        team.each([&](long long i, int column, const Pack& pack) {
            for (int k = 0; k < WIDTH; k++) {
                const REAL delta = column + k < columns ? pack.v[k] - near : 0;
                rest += delta;
                squares += delta * delta;
            }
        });
        rest = team.sum(rest) / columns;
        const REAL center = near + rest;
        const REAL inverse = 1 / sqrt(team.sum(squares) / columns - rest * rest + eps);
        team.each([&](long long i, int column, Pack pack) {
            const Pack g = load(gamma, column, columns), b = load(beta, column, columns);
            for (int k = 0; k < WIDTH; k++)
                pack.v[k] = (pack.v[k] - center) * inverse * g.v[k] + b.v[k];
            store(y, i, team.end, pack);
        });
        if (team.rank == 0) {
            mean[row] = center;
            inv_std[row] = inverse;
        }
    }
}

// dx = inv_std * (g - mean(g) - xhat * mean(g * xhat)) in each row, with g = dy * gamma and
// xhat = (x - mean) * inv_std
template <class Team>
__device__ void layer_norm_backward_rows(Team team, const STORE* dy, const STORE* x,
                                         const STORE* gamma, const REAL* mean,
                                         const REAL* inv_std, STORE* dx, long long rows,
                                         int columns) {
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(x, row, columns, 0);
        const REAL center = mean[row], inverse = inv_std[row];
        REAL plain = 0, product = 0;
        team.each([&](long long i, int column, const Pack& pack) {
            const Pack d = load(dy, i, team.end), g = load(gamma, column, columns);
            for (int k = 0; k < WIDTH; k++) {
                if (column + k >= columns) break;  // 0 * inf would be NaN
                plain += d.v[k] * g.v[k];
                product += d.v[k] * g.v[k] * ((pack.v[k] - center) * inverse);
            }
        });
        plain = team.sum(plain) / columns;
        product = team.sum(product) / columns;
        team.each([&](long long i, int column, Pack pack) {
            const Pack d = load(dy, i, team.end), g = load(gamma, column, columns);
            for (int k = 0; k < WIDTH; k++) {
                const REAL xhat = (pack.v[k] - center) * inverse;
                pack.v[k] = inverse * (d.v[k] * g.v[k] - plain - xhat * product);
            }
            store(dx, i, team.end, pack);
        });
    }
}

KERNELS(layer_norm_forward, layer_norm_rows,
        (const STORE* x, const STORE* gamma, const STORE* beta, REAL* mean, REAL* inv_std,
         STORE* y, REAL eps, long long rows, int columns),
        (x, gamma, beta, mean, inv_std, y, eps, rows, columns))

KERNELS(layer_norm_backward, layer_norm_backward_rows,
        (const STORE* dy, const STORE* x, const STORE* gamma, const REAL* mean,
         const REAL* inv_std, STORE* dx, long long rows, int columns),
        (dy, x, gamma, mean, inv_std, dx, rows, columns))
