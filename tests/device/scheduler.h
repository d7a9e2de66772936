// The scheduler: barriers, warp intrinsics, and the turns of threads, warps and blocks.
//
// A thread runs until it returns or waits at a barrier or warp intrinsic; an intrinsic is completed
// when all its participants have arrived. A warp runs as far as it can, up to the block's barrier,
// before the next warp does: no GPU lets warps get further apart. When all warps have arrived the
// barrier is completed, otherwise the kernel has deadlocked.
//
// Threads, warps and blocks take their turns in forward, reverse or shuffled order. Forward and
// reverse, a block runs to its end before the next one starts; shuffled, the warps of up to
// MAX_RESIDENT blocks alternate. A kernel without races gives the same result in every order, up to
// the order of floating-point atomics.
#pragma once
#include <link.h>

#include "signals.h"

namespace coc {

constexpr unsigned char POISON = 0xFF;  // NaN as float, double, half and bfloat16; -1 as integer
constexpr size_t MAX_DYNAMIC_SHARED = 227 * 1024, SHARED_CANARY = 256;
alignas(128) static char dynamic_shared[MAX_DYNAMIC_SHARED + SHARED_CANARY];

// ------------------------------------------------------------------------- waiting

static void wait_at_barrier(int line, int predicate) {
    Fiber& fiber = current_fiber();
    fiber.state = State::at_barrier;
    fiber.line = line;
    fiber.predicate = predicate;
    switch_to_main();
}
static uint64_t wait_for_warp(WarpOp op, unsigned mask, uint64_t value, unsigned lane, int line) {
    Fiber& fiber = current_fiber();
    if (!(mask >> machine.current % WARP & 1))
        fail("line %d: warp intrinsic whose mask 0x%08x lacks the calling lane", line, mask);
    fiber.state = State::at_warp_op;
    fiber.line = line;
    fiber.op = op;
    fiber.mask = mask;
    fiber.sent = value;
    fiber.source_lane = lane;
    switch_to_main();
    return fiber.received;
}

// ------------------------------------------------------------------------- going on

static void report_deadlock(const Block& block) {
    unsigned at_barrier = 0, at_warp_op = 0;
    int barrier_line = 0, warp_line = 0;
    for (const Fiber& fiber : block.fibers) {
        if (fiber.state == State::at_barrier) at_barrier++, barrier_line = fiber.line;
        if (fiber.state == State::at_warp_op) at_warp_op++, warp_line = fiber.line;
    }
    report("deadlock in block (%u, %u, %u): %u threads wait at __syncthreads (line %d), %u at a warp "
           "intrinsic (line %d), %zu have returned", block.index.x, block.index.y, block.index.z,
           at_barrier, barrier_line, at_warp_op, warp_line, block.fibers.size() - block.running);
}

// Completes the barrier at which all threads that have not returned wait.
static void release_barrier(Block& block) {
    block.barrier_size = block.barrier_true = 0;
    int line = 0;
    for (const Fiber& fiber : block.fibers) {
        if (fiber.state == State::done) continue;
        if (fiber.state != State::at_barrier) return report_deadlock(block);
        if (block.barrier_size++ && fiber.line != line)
            report("divergent barrier: threads of one block wait at __syncthreads in lines %d and %d",
                   line, fiber.line);
        line = fiber.line;
        block.barrier_true += fiber.predicate != 0;
    }
    for (Fiber& fiber : block.fibers)
        if (fiber.state == State::at_barrier) fiber.state = State::ready;
}

// Completes the intrinsic of one lane if every living lane of its mask has come to the same one.
static bool release_lanes(Fiber* warp, unsigned lanes, unsigned first) {
    const unsigned mask = warp[first].mask;
    const WarpOp op = warp[first].op;
    unsigned present = 0, votes = 0;
    for (unsigned lane = 0; lane < lanes; lane++) {
        const Fiber& fiber = warp[lane];
        if (!(mask >> lane & 1) || fiber.state == State::done) continue;
        if (fiber.state != State::at_warp_op || fiber.mask != mask || fiber.op != op) return false;
        present |= 1u << lane;
        votes |= (unsigned)(fiber.sent & 1) << lane;
    }
    for (unsigned lane = 0; lane < lanes; lane++) {
        if (!(present >> lane & 1)) continue;
        Fiber& fiber = warp[lane];
        fiber.state = State::ready;
        if (op == WarpOp::ballot) fiber.received = votes;
        if (op != WarpOp::shuffle) continue;
        if (!(present >> fiber.source_lane & 1))
            report("line %d: lane %u shuffles from lane %u, which is not in the mask, has returned or "
                   "does not exist", fiber.line, lane, fiber.source_lane);
        else
            fiber.received = warp[fiber.source_lane].sent;
    }
    return true;
}
static bool release_warp(Fiber* warp, unsigned lanes) {
    bool released = false;
    for (unsigned lane = 0; lane < lanes; lane++)
        if (warp[lane].state == State::at_warp_op) released |= release_lanes(warp, lanes, lane);
    return released;
}

// ------------------------------------------------------------------------- turns

static bool stopped() {
    if (machine.timed_out) report("endless loop (over %d ms)", CPU_MILLISECONDS);
    return machine.error[0] != 0;
}
// A random number below `count`, by Knuth's MMIX generator.
static uint64_t random_below(uint64_t count) {
    machine.seed = machine.seed * 6364136223846793005u + 1442695040888963407u;
    return (machine.seed >> 33) % count;
}
// The numbers below `count` in the order of their turns.
static std::vector<uint64_t> turns(uint64_t count) {
    std::vector<uint64_t> result(count);
    const bool reverse = machine.order == Order::reverse;
    for (uint64_t i = 0; i < count; i++) result[i] = reverse ? count - 1 - i : i;
    if (machine.order == Order::shuffled)
        for (uint64_t i = count - 1; i > 0; i--) std::swap(result[i], result[random_below(i + 1)]);
    return result;
}

static void run_thread(unsigned thread) {
    const dim3& dim = machine.block_dim;
    machine.current = thread;
    machine.thread = {thread % dim.x, thread / dim.x % dim.y, thread / dim.x / dim.y};
    Fiber& fiber = current_fiber();
    if (!fiber.stack) give_stack(fiber);
    switch_to_fiber(fiber);
    check_stack(fiber);
    if (fiber.state != State::done) return;
    machine.active->running--;
    machine.free_stacks.push_back(fiber.stack);  // the next thread to start finds it in the cache
}
static void run_warp(unsigned base) {
    std::vector<Fiber>& fibers = machine.active->fibers;
    const unsigned rest = fibers.size() - base, lanes = rest < WARP ? rest : WARP;
    do {
        for (uint64_t lane : turns(lanes)) {
            if (fibers[base + lane].state == State::ready) run_thread(base + lane);
            if (machine.error[0]) return;
        }
    } while (release_warp(&fibers[base], lanes) && !stopped());
}

// ------------------------------------------------------------------------- shared memory

// Static __shared__ variables are thread_local, so that all of them, in templates too, lie in one
// piece of memory: the thread-local storage of this library. Sections cannot do that in GCC 12.
static thread_local char any_shared;
static size_t static_offset, static_bytes;  // of any_shared in that storage; the storage's size

static int measure_storage(dl_phdr_info* library, size_t, void*) {
    const char* begin = (const char*)library->dlpi_tls_data;
    for (int i = 0; begin && i < library->dlpi_phnum; i++) {
        const auto& header = library->dlpi_phdr[i];
        const size_t offset = &any_shared - begin;
        if (header.p_type != PT_TLS || offset >= header.p_memsz) continue;
        static_offset = offset;
        static_bytes = header.p_memsz;
        return 1;
    }
    return 0;
}
static char* static_shared() { return &any_shared - static_offset; }

static void poison_shared() {
    memset(static_shared(), POISON, static_bytes);
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(dynamic_shared, sizeof dynamic_shared);
    memset(dynamic_shared, POISON, machine.dynamic_bytes);
    __asan_poison_memory_region(dynamic_shared + machine.dynamic_bytes, SHARED_CANARY);
#else
    memset(dynamic_shared, POISON, machine.dynamic_bytes + SHARED_CANARY);
#endif
}
static void check_shared() {
#ifndef __SANITIZE_ADDRESS__
    for (size_t i = machine.dynamic_bytes; i < machine.dynamic_bytes + SHARED_CANARY; i++)
        if ((unsigned char)dynamic_shared[i] != POISON)
            report("write to byte %zu of %zu bytes of dynamic shared memory; block (%u, %u, %u)", i,
                   machine.dynamic_bytes, machine.block.x, machine.block.y, machine.block.z);
#endif
}
// Puts the shared memory of the active block aside, or back.
static void save_shared(Block& block) {
    block.shared.resize(static_bytes + machine.dynamic_bytes);
    memcpy(block.shared.data(), static_shared(), static_bytes);
    memcpy(block.shared.data() + static_bytes, dynamic_shared, machine.dynamic_bytes);
}
static void restore_shared(const Block& block) {
    memcpy(static_shared(), block.shared.data(), static_bytes);
    memcpy(dynamic_shared, block.shared.data() + static_bytes, machine.dynamic_bytes);
}

// ------------------------------------------------------------------------- blocks

static void activate(Block& block) {
    if (machine.active == &block) return;
    if (machine.active) save_shared(*machine.active);
    restore_shared(block);
    machine.active = &block;
    machine.block = block.index;
}
static void start_phase(Block& block) {
    block.turns = turns((block.fibers.size() + WARP - 1) / WARP);
    block.turn = 0;
}
static void start_block(Block& block, uint64_t number) {
    const dim3 &grid = machine.grid_dim, &dim = machine.block_dim;
    if (machine.active) save_shared(*machine.active);
    machine.active = &block;
    block.resident = true;
    block.index = {(unsigned)(number % grid.x), (unsigned)(number / grid.x % grid.y),
                   (unsigned)(number / grid.x / grid.y)};
    machine.block = block.index;
    block.running = dim.x * dim.y * dim.z;
    block.fibers.assign(block.running, Fiber{});
    start_phase(block);
    poison_shared();
}
// Runs one warp of the active block up to the next barrier.
static void run_turn(Block& block) {
    if (block.turn == block.turns.size()) {
        release_barrier(block);
        start_phase(block);
    }
    if (!stopped()) run_warp(block.turns[block.turn++] * WARP);
    if (block.running || machine.error[0]) return;
    check_shared();
    block.resident = false;
    machine.active = nullptr;
}
static void run_grid() {
    SignalHandlers handlers;
    const dim3& grid = machine.grid_dim;
    const std::vector<uint64_t> numbers = turns((uint64_t)grid.x * grid.y * grid.z);
    const unsigned slots = machine.order == Order::shuffled ? MAX_RESIDENT : 1;
    for (size_t started = 0, resident = 0; started < numbers.size() || resident;) {
        Block& block = machine.blocks[slots == 1 ? 0 : random_below(slots)];
        if (block.resident) {
            activate(block);
            run_turn(block);
            resident -= !block.resident;
        } else if (started < numbers.size()) {
            start_block(block, numbers[started++]);
            resident++;
        }
        if (machine.error[0]) return;
    }
}

// Runs body(argument) in every thread of a grid; returns 0, or 1 with the reason in machine.error.
static int launch(void (*body)(void*), void* argument, const unsigned* grid, const unsigned* block,
                  unsigned dynamic_bytes, int order, unsigned seed) {
    machine.error[0] = 0;
    machine.timed_out = machine.in_fiber = false;
    machine.body = body;
    machine.argument = argument;
    machine.grid_dim = dim3(grid[0], grid[1], grid[2]);
    machine.block_dim = dim3(block[0], block[1], block[2]);
    machine.dynamic_bytes = dynamic_bytes;
    machine.order = (Order)order;
    machine.seed = seed;
    machine.os_thread = pthread_self();
    machine.active = nullptr;
    for (Block& each : machine.blocks) each.resident = false;
    if (machine.stacks.empty()) reserve_stacks();
    if (!static_bytes) dl_iterate_phdr(measure_storage, nullptr);
    if (!static_bytes) report("the simulator does not find its thread-local storage");
    machine.free_stacks = machine.stacks;
    if (!machine.error[0]) run_grid();
    return machine.error[0] != 0;
}

}  // namespace coc
