// Every activation, by its code in kernels/table.py: one line in each function.
#include "common.cuh"

// Exact at both ends: exp() is taken of -|x|, so it cannot overflow.
__device__ __forceinline__ REAL sigmoid(REAL x) {
    const REAL e = exp(-fabs(x));
    return (x >= 0 ? 1 : e) / (1 + e);
}

// y = f(x); NaN stays NaN.
__device__ __forceinline__ REAL forward(int code, REAL x, REAL alpha) {
    switch (code) {
        case 1: return sigmoid(x);
        case 2: return tanh(x);
        case 3: return x < 0 ? 0 : x;              // relu
        case 4: return x != x ? x : REAL(x > 0);   // step
        default: return x;                         // identity
    }
}

// dy * f', in terms of what the table says is saved: the activation's input or its output.
__device__ __forceinline__ REAL gradient(int code, REAL dy, REAL saved, REAL alpha) {
    switch (code) {
        case 1: return dy * (saved * (1 - saved));
        case 2: return dy * (1 - saved * saved);
        case 3: return saved > 0 ? dy : 0;
        default: return dy;
    }
}
