# Finds OpenBLAS with CMake's own FindBLAS, its OpenMP build first. Installed beside the package's configuration file,
# because who links the static library has to find the same.

# Makes BLAS::BLAS and GRADUS_CBLAS_INCLUDE_DIR where it can; a function, so that nothing else is left behind.
function(gradus_find_blas)
    # Debian keeps each build in a folder of its own. The OpenMP one shares our threads instead of fighting them.
    find_library(GRADUS_OPENBLAS openblas PATH_SUFFIXES openblas-openmp)
    find_path(GRADUS_CBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas-openmp openblas)
    mark_as_advanced(GRADUS_OPENBLAS GRADUS_CBLAS_INCLUDE_DIR)
    if(GRADUS_OPENBLAS)
        cmake_path(GET GRADUS_OPENBLAS PARENT_PATH folder)
        list(PREPEND CMAKE_LIBRARY_PATH ${folder})
    endif()
    if(NOT BLA_VENDOR)
        set(BLA_VENDOR OpenBLAS)
    endif()
    find_package(BLAS ${ARGN})
endfunction()
