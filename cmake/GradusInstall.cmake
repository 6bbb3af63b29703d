# What `cmake --install` puts where. The installed tree may be moved: nothing in it knows where it was built.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/gradus)

install(DIRECTORY include/gradus ${PROJECT_BINARY_DIR}/include/gradus
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})

# One export set for each kind, because only the static library asks its user for OpenBLAS, zlib and libpng.
set(gradus_kinds)
macro(gr_install kind target)
    list(APPEND gradus_kinds ${kind})
    install(TARGETS ${target} EXPORT gradus-${kind} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT gradus-${kind} NAMESPACE gradus:: DESTINATION ${package_dir})
endmacro()
if(GRADUS_SHARED)
    gr_install(shared gradus)
endif()
if(GRADUS_STATIC)
    gr_install(static gradus_static)
endif()

configure_package_config_file(cmake/gradusConfig.cmake.in gradusConfig.cmake INSTALL_DESTINATION ${package_dir}
    NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/gradusConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/GradusBLAS.cmake
    ${PROJECT_BINARY_DIR}/gradusConfig.cmake ${PROJECT_BINARY_DIR}/gradusConfigVersion.cmake
    DESTINATION ${package_dir})

# For pkg-config: folders relative to the .pc file, and what the static library needs as -L and -l.
foreach(folder IN ITEMS LIBDIR INCLUDEDIR)
    cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_${folder} BASE_DIRECTORY ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig
        OUTPUT_VARIABLE pc_${folder})
endforeach()
# Not as Requires.private, with which pkg-config would hand the folder of libpng's headers to all users.
get_target_property(pc_libs BLAS::BLAS INTERFACE_LINK_LIBRARIES)
if(PNG_FOUND)
    list(APPEND pc_libs ${PNG_LIBRARIES})
endif()
if(ZLIB_FOUND)
    list(APPEND pc_libs ${ZLIB_LIBRARIES})
endif()
list(APPEND pc_libs m)
list(REMOVE_DUPLICATES pc_libs)
if(OpenMP_C_FOUND)
    list(APPEND pc_libs ${OpenMP_C_FLAGS})
endif()
list(TRANSFORM pc_libs REPLACE "^(.+)/lib([^/]+)\\.(so|a|dylib)$" "-L\\1 -l\\2")
list(TRANSFORM pc_libs PREPEND -l REGEX "^[^-]")
list(JOIN pc_libs " " pc_libs)
configure_file(cmake/gradus.pc.in gradus.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/gradus.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
