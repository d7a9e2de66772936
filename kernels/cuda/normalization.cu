// Batch normalisation (Ioffe & Szegedy 2015), column by column, and layer normalisation (Ba et al.
// 2016), row by row.
//
// Where one block has all the rows of its columns (gridDim.y == 1), it goes on from the sums to the
// result; otherwise a second launch does.
#include "rows.cuh"
#include "statistics.cuh"

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

// Mean and variance of each column, and their running averages; then y, if gridDim.y == 1.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_forward(const STORE* x, const STORE* gamma, const STORE* beta, REAL* running_mean,
                   REAL* running_var, REAL* mean, REAL* var, STORE* y, REAL eps, REAL momentum,
                   int relu, long long rows, long long columns, REAL* partial, unsigned* done) {
    const Pack origin = load_columns(x, columns);
    Moments part = column_moments(x, origin, rows, columns);
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

// The second launch of batch_norm_backward: dx.
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_backward_input(const STORE* dy, const STORE* y, const STORE* x, const STORE* gamma,
                          const REAL* mean, const REAL* var, const STORE* dgamma,
                          const STORE* dbeta, STORE* dx, REAL eps, int batch_statistics, int relu,
                          long long rows, long long columns) {
    column_gradient(dy, y, x, gamma, mean, var, dgamma, dbeta, dx, eps, batch_statistics ? rows : 0,
                    relu, rows, columns);
}

// dbeta = sum of dy, dgamma = sum of dy * xhat, over rows; then dx, if gridDim.y == 1
extern "C" __global__ void __launch_bounds__(THREADS)
batch_norm_backward(const STORE* dy, const STORE* y, const STORE* x, const STORE* gamma,
                    const REAL* mean, const REAL* var, STORE* dgamma, STORE* dbeta, STORE* dx,
                    REAL eps, int batch_statistics, int relu, long long rows, long long columns,
                    REAL* partial, unsigned* done) {
    Sums part = column_sums(dy, y, x, mean, var, eps, relu, rows, columns);
    if (merge_columns(part, partial, done)) write_sums(part, dgamma, dbeta, columns);
    if (gridDim.y > 1) return;
    __syncthreads();
    column_gradient(dy, y, x, gamma, mean, var, dgamma, dbeta, dx, eps, batch_statistics ? rows : 0,
                    relu, rows, columns);
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
