// A slice of a matrix on its way from memory, through the registers of a warp, to shared memory.
#include "common.cuh"

constexpr int SLICE = 4 * WIDTH;  // numbers of a line in a slice: 64 bytes

// The left factor of a product by its rows, or the right one by its columns: `lines` of `depth`
// numbers. In memory either the numbers of a line are neighbours (`along`), or the lines are.
struct Lines {
    const STORE* x;
    int apart;  // numbers from the first of one row in memory to that of the next
    int lines, depth;
    bool along, packed;

    // Whether packs are read whole: none then lies partly beyond an end.
    __device__ Lines(const STORE* matrix, int count, int length, int neighbours)
        : x(matrix), lines(count), depth(length), along(neighbours) {
        apart = along ? depth : lines;
        packed = (size_t)x % 16 == 0 && apart % WIDTH == 0;
    }

    __device__ int place(int line, int number) const {
        return along ? line * apart + number : number * apart + line;
    }
};

// TILE lines of a slice: of each lane TILE / 8 packs. In shared memory the lines are neighbours: a
// pack of numbers of one line goes to WIDTH rows, by lanes that are at work on neighbouring lines.
template <int TILE>
struct Slice {
    static constexpr int PACKS = TILE / 8, ROW = TILE + WIDTH;
    typedef typename Stored<STORE>::Word Word;
    Stored<STORE> held[PACKS];

    __device__ static int line(bool along, int lane, int p) {
        return along ? lane % 16 + p % (TILE / 16) * 16
                     : (lane + p * 32) % (TILE / WIDTH) * WIDTH;
    }
    __device__ static int number(bool along, int lane, int p) {
        return along ? (lane / 16 + p / (TILE / 16) * 2) * WIDTH
                     : (lane + p * 32) / (TILE / WIDTH);
    }

    // Read from line and number `first` on, with zeros beyond the ends. No load is behind a branch
    // of its own: all are under way before the first is waited for.
    __device__ __forceinline__ void fetch(const Lines& from, int first_line, int first, int lane) {
        if (from.packed) {
#pragma unroll
            for (int p = 0; p < PACKS; p++) {
                const int l = first_line + line(from.along, lane, p);
                const int k = first + number(from.along, lane, p);
                const auto* word = (const Word*)(from.x + from.place(l, k));
                held[p].words[0] = l < from.lines && k < from.depth ? __ldca(word) : Word{};
            }
        } else {
#pragma unroll
            for (int p = 0; p < PACKS; p++) {
                const int l = first_line + line(from.along, lane, p);
                const int k = first + number(from.along, lane, p);
                const int left = l >= from.lines || k >= from.depth ? 0
                                 : from.along                       ? from.depth - k
                                                                    : from.lines - l;
                const STORE* x = from.x + from.place(l, k);
                for (int w = 0; w < WIDTH; w++) held[p].v[w] = w < left ? x[w] : 0;
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
                *(Word*)to = held[p].words[0];
        }
    }
};
