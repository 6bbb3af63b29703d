# How our own code is compiled. Everything here is private to a target: nothing reaches those who link it.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

function(gr_warnings target)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wpedantic -Wconversion -Wshadow
        $<$<COMPILE_LANGUAGE:C>:-Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes>)
    set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ${GRADUS_WERROR})
endfunction()

function(gr_options_if_known target)
    foreach(option IN LISTS ARGN)
        string(MAKE_C_IDENTIFIER "GRADUS_HAS${option}" has)
        check_c_compiler_flag(${option} ${has})
        if(${has})
            target_compile_options(${target} PRIVATE ${option})
        endif()
    endforeach()
endfunction()

# Undoes -ffast-math, -Ofast and their parts, which may come from the user or a parent project and stand before our own
# options. In the linker's call GCC would take them as a wish for denormal numbers to be 0 in the whole program.
function(gr_ieee target)
    target_compile_options(${target} PRIVATE
        "SHELL:-fno-fast-math $<$<C_COMPILER_ID:GNU>:-fno-single-precision-constant>"
        $<$<C_COMPILER_ID:Clang,AppleClang>:-Wno-overriding-t-option>)
    target_link_options(${target} PRIVATE "SHELL:-O3 -fno-fast-math -fno-unsafe-math-optimizations")
endfunction()

# Lets loops become vector code without -ffast-math: errno and traps are given up, NaN, infinities and the order of a
# sum are not. No instruction set is named: kernels are compiled for several and picked at run time.
function(gr_numerics target)
    gr_ieee(${target})
    target_compile_options(${target} PRIVATE
        $<$<NOT:$<CONFIG:Debug,MinSizeRel>>:-O3> # without a build type, too: Gradus within another project
        "SHELL:-fno-math-errno -fno-trapping-math -ffp-contract=fast -fopenmp-simd"
        # A loop that Clang cannot make vector code of, at -O1 or for the oldest processor, is slower and not wrong.
        $<$<C_COMPILER_ID:Clang,AppleClang>:-Wno-pass-failed>)
    # GCC clears records of some hundred bytes by `rep stos`, which takes longer to begin than plain stores to end.
    gr_options_if_known(${target} -mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign)
endfunction()

# Ends a program that overruns a buffer. Two more options are left out, as they cost some per cent of a small step: a
# stack protector in all files (see CMakeLists.txt for those that have it), and -fcf-protection.
function(gr_hardened target)
    if(WIN32)
        return()
    endif()
    gr_options_if_known(${target} -fstack-clash-protection)
    set(CMAKE_REQUIRED_FLAGS -O2) # without which no compiler defines it by itself
    check_c_source_compiles("#ifdef _FORTIFY_SOURCE
        #error
        #endif
        int main(void) { return 0; }" GRADUS_TO_FORTIFY)
    if(GRADUS_TO_FORTIFY)
        target_compile_definitions(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2>)
    endif()
endfunction()

# A program of ours: a lesson, a test, the benchmark.
function(gr_program name)
    add_executable(${name} ${ARGN})
    set_target_properties(${name} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    gr_warnings(${name})
    gr_ieee(${name})
endfunction()
