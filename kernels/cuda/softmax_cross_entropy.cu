// Softmax, log-softmax, and cross-entropy of logits and of probabilities. Each formula is written
// once, for teams of either kind (see rows.cuh); the kernels at the end choose the team.
#include "rows.cuh"

// y = exp(x - max) / sum(exp(x - max))
template <class Team>
__device__ void softmax_rows(Team team, const STORE* x, STORE* y, long long rows, int columns) {
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(x, row, columns, -INF);
        const Total total = row_total(team);
        const REAL inverse = 1 / total.sum;
        team.each([&](long long i, int column, Pack pack) {
            for (int k = 0; k < WIDTH; k++) pack.v[k] = exp(pack.v[k] - total.max) * inverse;
            store(y, i, team.end, pack);
        });
    }
}

// y = x - max - log(sum(exp(x - max)))
template <class Team>
__device__ void log_softmax_rows(Team team, const STORE* x, STORE* y, long long rows, int columns) {
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(x, row, columns, -INF);
        const Total total = row_total(team);
        const REAL log_sum = log(total.sum);
        team.each([&](long long i, int column, Pack pack) {
            for (int k = 0; k < WIDTH; k++) pack.v[k] = pack.v[k] - total.max - log_sum;
            store(y, i, team.end, pack);
        });
    }
}

// dx = y * (dy - sum(dy * y))
template <class Team>
__device__ void softmax_backward_rows(Team team, const STORE* dy, const STORE* y, STORE* dx,
                                      long long rows, int columns) {
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(y, row, columns, 0);
        REAL dot = 0;
        team.each([&](long long i, int column, const Pack& pack) {
            const Pack d = load(dy, i, team.end);
            for (int k = 0; k < WIDTH; k++) dot += d.v[k] * pack.v[k];
        });
        dot = team.sum(dot);
        team.each([&](long long i, int column, Pack pack) {
            const Pack d = load(dy, i, team.end);
            for (int k = 0; k < WIDTH; k++) pack.v[k] *= d.v[k] - dot;
            store(dx, i, team.end, pack);
        });
    }
}

// dx = dy - exp(y) * sum(dy)
template <class Team>
__device__ void log_softmax_backward_rows(Team team, const STORE* dy, const STORE* y, STORE* dx,
                                          long long rows, int columns) {
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(dy, row, columns, 0);
        REAL total = 0;
        team.each([&](long long i, int column, const Pack& pack) {
            for (int k = 0; k < WIDTH; k++) total += pack.v[k];
        });
        total = team.sum(total);
        team.each([&](long long i, int column, Pack pack) {
            const Pack p = load(y, i, team.end);
            for (int k = 0; k < WIDTH; k++) pack.v[k] -= exp(p.v[k]) * total;
            store(dx, i, team.end, pack);
        });
    }
}

// dz = (softmax(z) - target) / rows, loss = -mean(log softmax(z)[target]), for labels. One that is no
// class makes the loss and the number of right answers NaN, and takes no part in the gradient.
// Here and below rows may have weights, by which their part of all three is multiplied.
template <class Team>
__device__ void label_rows(Team team, const STORE* z, const int* target, STORE* dz,
                           const REAL* weights, long long rows, int columns, double* partial, unsigned* done, double* record,
                           long long steps, const long long* counters) {
    const REAL scale = (REAL)1 / rows;
    double loss = 0, correct = 0;
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        const int label = target[row];
        const bool known = label >= 0 && label < columns;
        team.start(z, row, columns, -INF);
        const Total total = row_total(team);
        const REAL inverse = 1 / total.sum, weight = weights ? weights[row] : 1;
        const REAL share = weight * scale;
        team.each([&](long long i, int column, Pack pack) {
            for (int k = 0; k < WIDTH; k++) {
                const REAL p = exp(pack.v[k] - total.max) * inverse;
                pack.v[k] = known ? (p - REAL(column + k == label)) * share : 0;
            }
            store(dz, i, team.end, pack);
        });
        if (team.rank == 0) {
            const REAL cost = log(total.sum) - (known ? (REAL)z[team.begin + label] - total.max : 0);
            loss += known ? weight * cost : UNKNOWN;
            correct += known ? weight * (total.place == label) : UNKNOWN;
        }
    }
    write_log(loss, correct, 1.0 / rows, partial, done, record, steps, counters);
}

// The same for a target of probabilities. An impossible class (target 0) costs nothing.
template <class Team>
__device__ void probability_rows(Team team, const STORE* z, const STORE* target, STORE* dz,
                                 const REAL* weights, long long rows, int columns, double* partial,
                                 unsigned* done, double* record, long long steps,
                                 const long long* counters) {
    const REAL scale = (REAL)1 / rows;
    double loss = 0, correct = 0;
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(z, row, columns, -INF);
        const Total total = row_total(team);
        const REAL inverse = 1 / total.sum, log_sum = log(total.sum);
        const REAL weight = weights ? weights[row] : 1, share = weight * scale;
        const REAL chosen = target[team.begin + total.place];
        REAL larger_targets = 0;
        team.each([&](long long i, int column, Pack pack) {
            const Pack t = load(target, i, team.end);
            for (int k = 0; k < WIDTH; k++) {
                const REAL shifted = pack.v[k] - total.max, p = t.v[k];
                if (p != 0) loss -= weight * (p * (shifted - log_sum));
                larger_targets += column + k < columns && larger(p, column + k, chosen, total.place);
                pack.v[k] = (exp(shifted) * inverse - p) * share;
            }
            store(dz, i, team.end, pack);
        });
        larger_targets = team.sum(larger_targets);
        if (team.rank == 0) correct += weight * (larger_targets == 0);
    }
    write_log(loss, correct, 1.0 / rows, partial, done, record, steps, counters);
}

// dy = -target / (y + delta) / rows, loss = -sum(target * log(y + delta)) / rows, for probabilities
template <class Team>
__device__ void categorical_rows(Team team, const STORE* y, const STORE* target, STORE* dy,
                                 const REAL* weights, REAL delta, long long rows, int columns,
                                 double* partial, unsigned* done, double* record, long long steps,
                                 const long long* counters) {
    const REAL scale = (REAL)1 / rows;
    double loss = 0, correct = 0;
    for (long long row = team.first_row(); row < rows; row += team.row_stride()) {
        team.start(y, row, columns, -INF);
        const int place = row_total(team).place;
        const REAL chosen = target[team.begin + place];
        const REAL weight = weights ? weights[row] : 1, share = weight * scale;
        REAL larger_targets = 0;
        team.each([&](long long i, int column, Pack pack) {
            const Pack t = load(target, i, team.end);
            for (int k = 0; k < WIDTH; k++) {
                if (column + k < columns) {
                    loss -= weight * (t.v[k] * log(pack.v[k] + delta));
                    larger_targets += larger(t.v[k], column + k, chosen, place);
                }
                pack.v[k] = -t.v[k] / (pack.v[k] + delta) * share;
            }
            store(dy, i, team.end, pack);
        });
        larger_targets = team.sum(larger_targets);
        if (team.rank == 0) correct += weight * (larger_targets == 0);
    }
    write_log(loss, correct, 1.0 / rows, partial, done, record, steps, counters);
}

KERNELS(softmax, softmax_rows, (const STORE* x, STORE* y, long long rows, int columns),
        (x, y, rows, columns))

KERNELS(log_softmax, log_softmax_rows, (const STORE* x, STORE* y, long long rows, int columns),
        (x, y, rows, columns))

KERNELS(softmax_backward, softmax_backward_rows,
        (const STORE* dy, const STORE* y, STORE* dx, long long rows, int columns),
        (dy, y, dx, rows, columns))

KERNELS(log_softmax_backward, log_softmax_backward_rows,
        (const STORE* dy, const STORE* y, STORE* dx, long long rows, int columns),
        (dy, y, dx, rows, columns))

KERNELS(cross_entropy_labels, label_rows,
        (const STORE* z, const int* target, STORE* dz, const REAL* weights, long long rows,
         int columns, double* partial, unsigned* done, double* record, long long steps,
         const long long* counters),
        (z, target, dz, weights, rows, columns, partial, done, record, steps, counters))

KERNELS(cross_entropy_probabilities, probability_rows,
        (const STORE* z, const STORE* target, STORE* dz, const REAL* weights, long long rows,
         int columns, double* partial, unsigned* done, double* record, long long steps,
         const long long* counters),
        (z, target, dz, weights, rows, columns, partial, done, record, steps, counters))

KERNELS(categorical_cross_entropy, categorical_rows,
        (const STORE* y, const STORE* target, STORE* dy, const REAL* weights, REAL delta,
         long long rows, int columns, double* partial, unsigned* done, double* record, long long steps,
         const long long* counters),
        (y, target, dy, weights, delta, rows, columns, partial, done, record, steps, counters))
