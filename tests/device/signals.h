// A fault inside a kernel ends the launch with an error instead of the process. A timer finds
// threads that never return, for example because they wait for another block.
#pragma once
#include <signal.h>
#include <sys/time.h>

#include "fibers.h"

#ifndef COC_CPU_MILLISECONDS
#define COC_CPU_MILLISECONDS 60'000
#endif

namespace coc {

constexpr int CPU_MILLISECONDS = COC_CPU_MILLISECONDS;  // a longer launch is an endless loop

static void on_tick() {
    bool stuck = machine.timed_out && machine.switches == machine.switches_at_tick;
    machine.timed_out = true;  // the scheduler ends the launch, if it gets to run
    machine.switches_at_tick = machine.switches;
    if (stuck && machine.in_fiber)
        fail("endless loop or wait for another block (over %d ms)", CPU_MILLISECONDS);
}
static void on_signal(int number, siginfo_t* info, void*) {
    const bool here = pthread_equal(pthread_self(), machine.os_thread);
    if (number == SIGVTALRM) {
        if (here)
            on_tick();
        else
            pthread_kill(machine.os_thread, number);
        return;
    }
    if (!here || !machine.in_fiber) {
        signal(number, SIG_DFL);  // not the kernel's doing: the fault repeats and ends the process
        return;
    }
    if (number == SIGFPE) fail("integer division by zero");
    const size_t above_guard = (char*)info->si_addr - machine.stack_guard;
    if (above_guard < GUARD_BYTES) fail("stack overflow (over %zu KiB)", STACK_BYTES / 1024);
    fail("illegal memory access at address %p", info->si_addr);
}

#ifdef __SANITIZE_ADDRESS__
struct SignalHandlers {};  // AddressSanitizer has its own
#else
// Handles signals, on a stack of its own, as long as the object lives.
class SignalHandlers {
    static constexpr int NUMBERS[] = {SIGSEGV, SIGBUS, SIGFPE, SIGVTALRM};
    struct sigaction previous[4];
    stack_t previous_stack;

  public:
    SignalHandlers() {
        static char memory[64 * 1024];
        stack_t stack = {};
        stack.ss_sp = memory;
        stack.ss_size = sizeof memory;
        sigaltstack(&stack, &previous_stack);
        struct sigaction action = {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART;
        for (int i = 0; i < 4; i++) sigaction(NUMBERS[i], &action, &previous[i]);
        set_timer(CPU_MILLISECONDS);
    }
    ~SignalHandlers() {
        set_timer(0);
        for (int i = 0; i < 4; i++) sigaction(NUMBERS[i], &previous[i], nullptr);
        sigaltstack(&previous_stack, nullptr);
    }
    static void set_timer(int milliseconds) {
        itimerval timer = {{0, 50'000}, {milliseconds / 1000, milliseconds % 1000 * 1000}};
        setitimer(ITIMER_VIRTUAL, &timer, nullptr);
    }
};
#endif

}  // namespace coc
