# How our own code is compiled. Everything here is private to a target: nothing reaches those who link it.
include(CheckCCompilerFlag)

function(gr_warnings target)
    target_compile_options(${target} PRIVATE
        -Wall -Wextra -Wpedantic -Wconversion -Wshadow
        $<$<COMPILE_LANGUAGE:C>:-Wdouble-promotion -Wstrict-prototypes -Wmissing-prototypes>)
    set_target_properties(${target} PROPERTIES COMPILE_WARNING_AS_ERROR ${GRADUS_WERROR})
endfunction()

# Lets loops become vector code without -ffast-math: errno and traps are given up, NaN, infinities and the order of a
# sum are not. No instruction set is named: kernels are compiled for several and picked at run time.
function(gr_numerics target)
    target_compile_options(${target} PRIVATE
        $<$<NOT:$<CONFIG:Debug,MinSizeRel>>:-O3> # without a build type, too: Gradus within another project
        -fno-math-errno -fno-trapping-math -ffp-contract=fast -fopenmp-simd
        # A loop that Clang cannot make vector code of, at -O1 or for the oldest processor, is slower and not wrong.
        $<$<C_COMPILER_ID:Clang,AppleClang>:-Wno-pass-failed>)
    # GCC clears records of some hundred bytes by `rep stos`, which takes longer to begin than plain stores to end.
    set(plain_stores -mmemset-strategy=unrolled_loop:256:noalign,libcall:-1:noalign)
    check_c_compiler_flag(${plain_stores} GRADUS_HAS_MEMSET_STRATEGY)
    if(GRADUS_HAS_MEMSET_STRATEGY)
        target_compile_options(${target} PRIVATE ${plain_stores})
    endif()
endfunction()

# A program of ours: a lesson, a test, the benchmark.
function(gr_program name)
    add_executable(${name} ${ARGN})
    set_target_properties(${name} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
    gr_warnings(${name})
endfunction()
