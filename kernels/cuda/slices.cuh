// A slice of a matrix on its way from memory, through the registers of a warp, to shared memory.
#include "common.cuh"

constexpr int SLICE = 4 * WIDTH;  // numbers of a line in a slice: 64 bytes

// The left factor of a product by its rows, or the right one by its columns: `lines` of `depth`
// numbers. In memory either the numbers of a line are neighbours (`along`), or the lines are.
struct Lines {
    const STORE* x;
    long long apart;  // numbers from the first of one row in memory to that of the next
    int lines, depth;
    bool along, packed;

    // Whether packs are read whole: none then lies partly beyond an end.
    __device__ Lines(const STORE* matrix, int count, int length, int neighbours)
        : x(matrix), lines(count), depth(length), along(neighbours) {
        apart = along ? depth : lines;
        packed = (size_t)x % 16 == 0 && apart % WIDTH == 0;
    }
};

// TILE lines of a slice: of each lane TILE / 8 packs. In shared memory the lines are neighbours, and
// a pack of numbers of one line goes to WIDTH rows, by lanes that are at work on neighbouring lines.
template <int TILE>
struct Slice {
    static constexpr int PACKS = TILE / 8, ROW = TILE + WIDTH;
    Stored<STORE> held[PACKS];

    __device__ static int line(bool along, int lane, int p) {
        return along ? lane % 16 + p % (TILE / 16) * 16
                     : (lane + p * 32) % (TILE / WIDTH) * WIDTH;
    }
    __device__ static int number(bool along, int lane, int p) {
        return along ? (lane / 16 + p / (TILE / 16) * 2) * WIDTH
                     : (lane + p * 32) / (TILE / WIDTH);
    }

    // Read from line and number `first` on, with zeros beyond the ends. All loads are under way
    // before the first is waited for.
    __device__ __forceinline__ void fetch(const Lines& from, int first_line, int first, int lane) {
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            const int l = first_line + line(from.along, lane, p);
            const int k = first + number(from.along, lane, p);
            const long long place = from.along ? l * from.apart + k : k * from.apart + l;
            const bool inside = l < from.lines && k < from.depth;
            if (from.packed) {
                const auto* word = (const typename Stored<STORE>::Word*)(from.x + place);
                held[p].words[0] = inside ? __ldca(word) : typename Stored<STORE>::Word{};
            } else {
                const int left = from.along ? from.depth - k : from.lines - l;
                for (int w = 0; w < WIDTH; w++)
                    held[p].v[w] = inside && w < left ? from.x[place + w] : 0;
            }
        }
    }

    __device__ __forceinline__ void stage(STORE* shared, bool along, int lane) const {
#pragma unroll
        for (int p = 0; p < PACKS; p++) {
            STORE* to = shared + number(along, lane, p) * ROW + line(along, lane, p);
            if (along)
                for (int w = 0; w < WIDTH; w++) to[w * ROW] = held[p].v[w];
            else
                *(typename Stored<STORE>::Word*)to = held[p].words[0];
        }
    }
};
