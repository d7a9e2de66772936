// Batch normalisation of a batch that several ranks share: what each finds in its rows, and what
// all of them make of it.
#include "statistics.cuh"

// Number, mean and squared deviations of the columns of x, as row `place` of `moments`; the other
// rows become 0.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_moments(const STORE* x, int place, int ranks, REAL* moments, long long rows,
                   long long columns, REAL* partial, unsigned* done) {
    const Pack origin = rows > 0 ? load_columns(x, columns) : Pack{};
    Moments part = column_moments(x, origin, rows, columns);
    const long long width = 2 * columns + 1, size = ranks * width;
    const long long block = blockIdx.y * (long long)gridDim.x + blockIdx.x;
    const long long begin = block * THREADS + threadIdx.y * blockDim.x + threadIdx.x;
    for (long long i = begin; i < size; i += (long long)gridDim.x * gridDim.y * THREADS)
        if (i / width != place) moments[i] = 0;
    REAL* const found = moments + place * width;
    if (begin == 0) found[0] = rows;
    if (!merge_columns(part, partial, done)) return;
    for (int k = 0; k < WIDTH; k++) {
        const long long column = first_column() + k;
        if (column >= columns) break;
        found[1 + column] = origin.v[k] + part.mean[k];
        found[1 + columns + column] = part.squares[k];
    }
}

// Mean and variance of each column over all ranks' rows, one rank after the other (Chan, Golub &
// LeVeque 1979), and the averages that follow them.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_merge(const REAL* moments, int ranks, REAL* running_mean, REAL* running_var, REAL* mean,
                 REAL* var, REAL momentum, long long columns) {
    const long long threads = gridDim.x * (long long)blockDim.x;
    for (long long c = blockIdx.x * (long long)blockDim.x + threadIdx.x; c < columns;
         c += threads) {
        REAL count = 0, center = 0, squares = 0;
        for (int rank = 0; rank < ranks; rank++) {
            const REAL* const found = moments + rank * (2 * columns + 1);
            if (found[0] == 0) continue;
            const REAL total = count + found[0], share = found[0] / total;
            if (count == 0) center = found[1 + c];
            const REAL delta = found[1 + c] - center;
            center += delta * share;
            squares += found[1 + columns + c] + delta * delta * (count * share);
            count = total;
        }
        mean[c] = center;
        var[c] = squares / count;
        running_mean[c] += momentum * (center - running_mean[c]);
        running_var[c] += momentum * (squares / (count - 1) - running_var[c]);
    }
}

// dbeta = sum of dy, dgamma = sum of dy * xhat, over the rows of one rank; `sums` receives both.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_sums(const STORE* dy, const STORE* y, const STORE* x, const REAL* mean, const REAL* var,
                STORE* dgamma, STORE* dbeta, REAL* sums, REAL eps, int relu, long long rows,
                long long columns, REAL* partial, unsigned* done) {
    Sums part = column_sums(dy, y, x, mean, var, eps, relu, rows, columns);
    if (!merge_columns(part, partial, done)) return;
    write_sums(part, dgamma, dbeta, columns);
    for (int k = 0; k < WIDTH; k++)
        if (first_column() + k < columns) {
            sums[first_column() + k] = part.dy[k];
            sums[columns + first_column() + k] = part.product[k];
        }
}

// dx of one rank's rows, by the sums over all `count` rows.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_input_gradient(const STORE* dy, const STORE* y, const STORE* x, const STORE* gamma,
                          const REAL* mean, const REAL* var, const REAL* sums, STORE* dx, REAL eps,
                          long long count, int relu, long long rows, long long columns) {
    column_gradient(dy, y, x, gamma, mean, var, sums + columns, sums, dx, eps, count, relu, rows,
                    columns);
}
