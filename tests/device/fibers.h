// The threads of a block are fibers, which take turns on one OS thread. This file has their state,
// the switch between their stacks, and how a fiber that goes wrong ends the launch.
#pragma once
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <utility>
#include <vector>

#include "vectors.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace coc {

enum class State : unsigned char { ready, at_barrier, at_warp_op, done };
enum class WarpOp : unsigned char { sync, shuffle, ballot };
enum class Order : int { forward, reverse, shuffled };

constexpr unsigned WARP = 32, MAX_THREADS = 1024, MAX_RESIDENT = 4;
constexpr char STACK_CANARY[128] = "a stack that grows as far as these words has overflowed";
#ifdef __SANITIZE_ADDRESS__
constexpr size_t STACK_BYTES = 256 * 1024;
#else
constexpr size_t STACK_BYTES = 64 * 1024;
#endif
constexpr size_t STACK_STRIDE = STACK_BYTES + 320;  // an odd stride spreads stacks over cache sets
constexpr size_t GUARD_BYTES = 64 * 1024;

struct Fiber {
    void* stack_pointer;
    char* stack;  // null until the thread starts
    State state;
    int line;       // source line of the barrier or intrinsic at which it waits
    int predicate;  // what it gave to __syncthreads_count, _and or _or
    WarpOp op;
    unsigned mask, source_lane;
    uint64_t sent, received;
    void* asan_stack;
};

struct Block {
    bool resident;
    uint3 index;
    std::vector<Fiber> fibers;
    std::vector<uint64_t> turns;          // its warps, in the order in which they run
    size_t turn;                          // how many have run up to the next barrier
    std::vector<char> shared;             // its shared memory while another block runs
    unsigned running;                     // threads that have not returned
    unsigned barrier_size, barrier_true;  // threads at the last barrier, those with a predicate
};

struct Machine {
    uint3 thread, block;
    dim3 block_dim, grid_dim;
    Block blocks[MAX_RESIDENT];
    Block* active;                    // the block that runs, of those that are resident
    unsigned current;                 // index of the thread that runs
    std::vector<char*> free_stacks;
    std::vector<char*> stacks;
    char* stack_guard;                // the inaccessible memory below all stacks
    void* main_stack_pointer;
    void (*body)(void*);
    void* argument;
    size_t dynamic_bytes;             // of shared memory
    Order order;
    uint64_t seed;                    // of the shuffled order
    pthread_t os_thread;
    volatile bool in_fiber, timed_out;
    volatile uint64_t switches, switches_at_tick;
    char error[512];
    const void* asan_main_stack;
    size_t asan_main_size;
};

static Machine machine;

static Fiber& current_fiber() { return machine.active->fibers[machine.current]; }

// Keeps the first error of a launch.
__attribute__((format(printf, 1, 2))) static void report(const char* format, ...) {
    if (machine.error[0]) return;
    va_list values;
    va_start(values, format);
    vsnprintf(machine.error, sizeof machine.error, format, values);
    va_end(values);
}

// ------------------------------------------------------------------------- switching between stacks

static void fiber_main();

#if defined(__x86_64__) && !defined(COC_UCONTEXT)
extern "C" void coc_switch(void** save, void* to);
asm(R"(
.text
.type coc_switch,@function
coc_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size coc_switch,.-coc_switch
)");

static void prepare_stack(Fiber& fiber) {
    uint64_t* top = (uint64_t*)(((uintptr_t)fiber.stack + STACK_BYTES) & ~(uintptr_t)15);
    *--top = 0;  // so that at entry rsp % 16 == 8, as after a call
    *--top = (uint64_t)&fiber_main;
    for (int saved_register = 0; saved_register < 6; saved_register++) *--top = 0;
    fiber.stack_pointer = top;
}
static void switch_stack(void** save, void* to) { coc_switch(save, to); }
#else  // any other POSIX machine: two system calls a switch
static void prepare_stack(Fiber& fiber) {
    // needed for the first switch only
    ucontext_t* context = (ucontext_t*)(fiber.stack + sizeof STACK_CANARY);
    getcontext(context);
    context->uc_link = nullptr;
    context->uc_stack.ss_sp = (char*)(context + 1);
    context->uc_stack.ss_size = fiber.stack + STACK_BYTES - (char*)(context + 1);
    makecontext(context, fiber_main, 0);
    fiber.stack_pointer = context;
}
static void switch_stack(void** save, void* to) {
    ucontext_t here, *target = (ucontext_t*)to;
    *save = &here;
    swapcontext(&here, target);
}
#endif

// AddressSanitizer has to be told of every switch.
#ifdef __SANITIZE_ADDRESS__
static void leave_for(void** fake_stack, const void* bottom, size_t size) {
    __sanitizer_start_switch_fiber(fake_stack, bottom, size);
}
static void arrive(void* fake_stack, const void** from, size_t* size) {
    __sanitizer_finish_switch_fiber(fake_stack, from, size);
}
#else
static void leave_for(void**, const void*, size_t) {}
static void arrive(void*, const void**, size_t*) {}
#endif

static void switch_to_fiber(Fiber& fiber) {
    void* fake_stack = nullptr;
    machine.switches = machine.switches + 1;
    machine.in_fiber = true;
    leave_for(&fake_stack, fiber.stack, STACK_BYTES);
    switch_stack(&machine.main_stack_pointer, fiber.stack_pointer);
    arrive(fake_stack, nullptr, nullptr);
    machine.in_fiber = false;
}
static void switch_to_main() {
    Fiber& fiber = current_fiber();
    bool returned = fiber.state == State::done;
    leave_for(returned ? nullptr : &fiber.asan_stack, machine.asan_main_stack,
              machine.asan_main_size);
    switch_stack(&fiber.stack_pointer, machine.main_stack_pointer);
    arrive(fiber.asan_stack, &machine.asan_main_stack, &machine.asan_main_size);
}

static void fiber_main() {
    arrive(nullptr, &machine.asan_main_stack, &machine.asan_main_size);
    machine.body(machine.argument);
    current_fiber().state = State::done;
    switch_to_main();
}

// Ends the launch from inside a thread: nothing of the kernel runs any further.
__attribute__((format(printf, 1, 2))) [[noreturn]] static void fail(const char* format, ...) {
    char what[256];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    report("%s; block (%u, %u, %u), thread (%u, %u, %u)", what, machine.block.x, machine.block.y,
           machine.block.z, machine.thread.x, machine.thread.y, machine.thread.z);
    switch_to_main();
    __builtin_unreachable();
}

// ------------------------------------------------------------------------- the stacks of the threads

// One arena with an inaccessible part below: a stack that overflows reaches other stacks or that
// part, never the heap, and it ends the launch, so no harm is done.
static void reserve_stacks() {
    const size_t count = MAX_THREADS * MAX_RESIDENT, bytes = GUARD_BYTES + count * STACK_STRIDE;
    char* arena = (char*)mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) return report("no memory for the threads' stacks");
    mprotect(arena, GUARD_BYTES, PROT_NONE);
    machine.stack_guard = arena;
    for (size_t i = count; i-- > 0;)
        machine.stacks.push_back(arena + GUARD_BYTES + i * STACK_STRIDE);
}
static void give_stack(Fiber& fiber) {
    fiber.stack = machine.free_stacks.back();
    machine.free_stacks.pop_back();
#ifdef __SANITIZE_ADDRESS__
    __asan_unpoison_memory_region(fiber.stack, STACK_BYTES);
#endif
    memcpy(fiber.stack, STACK_CANARY, sizeof STACK_CANARY);
    prepare_stack(fiber);
}
static void check_stack(const Fiber& fiber) {
    if (memcmp(fiber.stack, STACK_CANARY, sizeof STACK_CANARY))
        report("stack overflow (over %zu KiB) in thread %u", STACK_BYTES / 1024, machine.current);
}

}  // namespace coc
