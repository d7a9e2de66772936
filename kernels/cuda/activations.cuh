// Every activation, by its code in kernels/table.py: one line in each function.
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

// y = f(x); NaN stays NaN.
__device__ __forceinline__ REAL forward(int code, REAL x, REAL alpha) {
    switch (code) {
        case 1: return sigmoid(x);
        case 2: return tanh(x);
        case 3: return at_least(0, x);                                                // relu
        case 4: return x != x ? x : REAL(x > 0);                                      // step
        case 5: return x > 0 ? x : alpha * x;                                         // leaky_relu
        case 6: return x > 0 ? x : alpha * expm1(x);                                  // elu
        case 7: return x > 0 ? SELU_SCALE * x : SELU_LOWEST * expm1(x);               // selu
        case 8: return at_least(-40, x) * normcdf(x);                                 // gelu
        case 9: return at_least(-40, x) * sigmoid(gelu_exponent(within(40, x)));      // gelu_tanh
        case 10: return at_least(0, x) + log1p(exp(-fabs(x)));                        // softplus
        case 11: return softsign(within(1e30, x));
        case 12: return at_least(-1000, x) * sigmoid(x);                              // silu
        case 13: return at_most(6, at_least(0, x + 3)) / 6;                           // hard_sigmoid
        case 14: return exp(x);                                                       // exponential
        default: return x;                                                            // identity
    }
}

// dy * f', in terms of what the table says is saved: the activation's input or its output.
__device__ __forceinline__ REAL gradient(int code, REAL dy, REAL saved, REAL alpha) {
    switch (code) {
        case 1: return dy * (saved * (1 - saved));
        case 2: return dy * (1 - saved * saved);
        case 3: return saved > 0 ? dy : 0;
        case 5: return saved > 0 ? dy : alpha * dy;
        case 6: return saved > 0 ? dy : dy * (saved + alpha);
        case 7: return dy * (saved > 0 ? SELU_SCALE : saved + SELU_LOWEST);
        case 8: return dy * gelu_slope(within(40, saved));
        case 9: return dy * gelu_tanh_slope(within(40, saved));
        case 10: return dy * -expm1(-saved);
        case 11: return dy * ((1 - fabs(saved)) * (1 - fabs(saved)));
        case 12: return dy * (sigmoid(saved) + within(1000, saved) * sigmoid_slope(saved));
        case 13: return saved > 0 && saved < 1 ? dy / 6 : 0;
        case 14: return dy * saved;
        default: return dy;
    }
}
