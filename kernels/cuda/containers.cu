// What joins the branches of a network, and parts their gradients.
#include "common.cuh"

// out = a + b
extern "C" __global__ void __launch_bounds__(THREADS)
add(const STORE* a, const STORE* b, STORE* out, long long n) {
    for (long long i = first(); i < n; i += stride()) {
        Pack sum = load(a, i, n);
        const Pack other = load(b, i, n);
        for (int k = 0; k < WIDTH; k++) sum.v[k] += other.v[k];
        store(out, i, n, sum);
    }
}

// Matrices whose rows begin so many bytes apart, of which `length` bytes each are copied.
struct Rows {
    const char* from;
    long long from_row;
    char* to;
    long long to_row;
    long long rows, length;
};

template <class Unit>
__device__ __forceinline__ void copy_units(const Rows& of) {
    const long long units = of.length / sizeof(Unit);
    const long long first_unit = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    const long long first_row = blockIdx.y * (long long)blockDim.y + threadIdx.y;
    for (long long row = first_row; row < of.rows; row += gridDim.y * (long long)blockDim.y) {
        const Unit* from = (const Unit*)(of.from + row * of.from_row);
        Unit* to = (Unit*)(of.to + row * of.to_row);
        for (long long i = first_unit; i < units; i += gridDim.x * (long long)blockDim.x)
            to[i] = from[i];
    }
}

// By the longest accesses at which all rows begin and end; neighbouring threads take neighbours.
__device__ __forceinline__ void copy_rows(const Rows& of) {
    const unsigned long long places =
        (size_t)of.from | of.from_row | (size_t)of.to | of.to_row | of.length;
    if (places % 16 == 0) copy_units<uint4>(of);
    else if (places % 4 == 0) copy_units<unsigned>(of);
    else copy_units<unsigned short>(of);
}

// Columns of `out` from byte `begin` of its rows on = x
extern "C" __global__ void __launch_bounds__(THREADS)
put_columns(const void* x, void* out, long long begin, long long row_bytes, long long rows,
            long long length) {
    copy_rows({(const char*)x, length, (char*)out + begin, row_bytes, rows, length});
}

// out = columns of x from byte `begin` of its rows on
extern "C" __global__ void __launch_bounds__(THREADS)
take_columns(const void* x, void* out, long long begin, long long row_bytes, long long rows,
             long long length) {
    copy_rows({(const char*)x + begin, row_bytes, (char*)out, length, rows, length});
}
