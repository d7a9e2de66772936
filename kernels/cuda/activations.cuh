// Every activation, by its code in kernels/table.py.
#include "common.cuh"

constexpr REAL SELU_SCALE = 1.0507009873554805, SELU_LOWEST = 1.7580993408473769;  // s and s a
constexpr REAL GELU_SLOPE = 1.5957691216057308, GELU_CUBE = 0.044715;  // 2 sqrt(2 / pi)
constexpr REAL DENSITY = 0.3989422804014327;                           // 1 / sqrt(2 pi)

// x within the bounds; NaN stays NaN. An infinite x must be bounded where it is multiplied by what
// is 0 there.
__device__ __forceinline__ REAL at_least(REAL bound, REAL x) { return x < bound ? bound : x; }
__device__ __forceinline__ REAL at_most(REAL bound, REAL x) { return x > bound ? bound : x; }
__device__ __forceinline__ REAL within(REAL bound, REAL x) {
    return at_most(bound, at_least(-bound, x));
}

// Exact at both ends: exp() is taken of -|x|, so it cannot overflow.
__device__ __forceinline__ REAL sigmoid(REAL x) {
    const REAL e = exp(-fabs(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

// sigmoid(x) (1 - sigmoid(x))
__device__ __forceinline__ REAL sigmoid_slope(REAL x) {
    const REAL e = exp(-fabs(x));
    return e / ((1 + e) * (1 + e));
}

__device__ __forceinline__ REAL softsign(REAL x) { return x / (1 + fabs(x)); }

// Slope of x Phi(x)
__device__ __forceinline__ REAL gelu_slope(REAL x) {
    return normcdf(x) + x * (DENSITY * exp(REAL(-0.5) * x * x));
}

// v = 2 sqrt(2 / pi) (x + 0.044715 x^3): (1 + tanh(v / 2)) / 2 is sigmoid(v).
__device__ __forceinline__ REAL gelu_exponent(REAL x) {
    return GELU_SLOPE * x * (1 + GELU_CUBE * x * x);
}

// Slope of x sigmoid(v)
__device__ __forceinline__ REAL gelu_tanh_slope(REAL x) {
    const REAL v = gelu_exponent(x), dv = GELU_SLOPE * (1 + 3 * GELU_CUBE * x * x);
    return sigmoid(v) + x * dv * sigmoid_slope(v);
}

// y = f(x), or dx = dy f' in terms of s: what the table says is saved, the input or the output.
// A row has the code, y and dx. NaN stays NaN.
template <bool FORWARD>
__device__ __forceinline__ REAL formula(int code, REAL x, REAL alpha, REAL dy, REAL s) {
#define CASE(code, y, dx) \
    case code: return FORWARD ? REAL(y) : REAL(dx)
    switch (code) {
        CASE(1, sigmoid(x), dy * (s * (1 - s)));
        CASE(2, tanh(x), dy * (1 - s * s));
        CASE(3, at_least(0, x), s > 0 ? dy : 0);                                    // relu
        CASE(4, x != x ? x : REAL(x > 0), dy);                                      // step
        CASE(5, x > 0 ? x : alpha * x, s > 0 ? dy : alpha * dy);                    // leaky_relu
        CASE(6, x > 0 ? x : alpha * expm1(x), s > 0 ? dy : dy * (s + alpha));       // elu
        CASE(7, x > 0 ? SELU_SCALE * x : SELU_LOWEST * expm1(x),                    // selu
             dy * (s > 0 ? SELU_SCALE : s + SELU_LOWEST));
        CASE(8, at_least(-40, x) * normcdf(x), dy * gelu_slope(within(40, s)));     // gelu
        CASE(9, at_least(-40, x) * sigmoid(gelu_exponent(within(40, x))),           // gelu_tanh
             dy * gelu_tanh_slope(within(40, s)));
        CASE(10, at_least(0, x) + log1p(exp(-fabs(x))), dy * -expm1(-s));           // softplus
        CASE(11, softsign(within(1e30, x)), dy * ((1 - fabs(s)) * (1 - fabs(s))));
        CASE(12, at_least(-1000, x) * sigmoid(x),                                   // silu
             dy * (sigmoid(s) + within(1000, s) * sigmoid_slope(s)));
        CASE(13, at_most(6, at_least(0, x + 3)) / 6, s > 0 && s < 1 ? dy / 6 : 0);  // hard_sigmoid
        CASE(14, exp(x), dy * s);                                                   // exponential
        default: return FORWARD ? x : dy;                                           // identity
    }
#undef CASE
}

__device__ __forceinline__ REAL forward(int code, REAL x, REAL alpha) {
    return formula<true>(code, x, alpha, 0, 0);
}

__device__ __forceinline__ REAL gradient(int code, REAL dy, REAL saved, REAL alpha) {
    return formula<false>(code, 0, alpha, dy, saved);
}
