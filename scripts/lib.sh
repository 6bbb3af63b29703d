# What scripts/demo, scripts/test and CI share: finding the tools, installing what is missing, building.
# Sourced by bash; sets `root`, the project's folder, and `jobs`, the number of processors.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
jobs=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)

# Debian's package | the command or header that shows it is there | what to look for on other systems
packages='gcc|cc|a C11 compiler, GCC or Clang
libc6-dev|stdio.h|the headers of the C library
g++|c++|a C++17 compiler, for the tests of the headers
cmake|cmake|CMake 3.25 or newer
ninja-build|ninja|Ninja
pkg-config|pkg-config|pkg-config or pkgconf
libopenblas-openmp-dev|cblas.h|OpenBLAS with its cblas.h
zlib1g-dev|zlib.h|zlib with its header
libpng-dev|png.h|libpng with its header
libcmocka-dev|cmocka.h|cmocka, for the tests
libnlopt-dev|nlopt.h|NLopt, to test the checker on functions written for it
libgsl-dev|gsl/gsl_multimin.h|GSL, to the same end
coinor-libipopt-dev|coin/IpStdCInterface.h|Ipopt, to the same end
gfortran|gfortran|a Fortran compiler, to test the example in Fortran
gnuplot-nox|gnuplot|gnuplot, for the plots
graphviz|dot|Graphviz, for the drawing of a tape
chromium|chromium|Chromium, to test the page of the lessons
clang|clang|Clang
clang-format-14|clang-format-14|clang-format 14, to check the layout of the sources
libomp-dev|omp.h|the OpenMP library of Clang'

say() { printf '\n== %s\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null; }
debian() { has apt-get && has dpkg-query; }

# Debian's own record is asked for libraries, because another package may bring a header of the same name.
present() { # PACKAGE EVIDENCE
    case $2 in
        *.h) if debian; then dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
             else echo "#include <$2>" | cc -E -x c -idirafter /usr/include/openblas - >/dev/null 2>&1; fi ;;
        *) has "$2" ;;
    esac
}

apt() {
    local sudo=()
    if [ "$(id -u)" != 0 ]; then
        has sudo || return
        sudo=(sudo)
        [ -t 0 ] || sudo+=(-n)
    fi
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "$@" >/dev/null
}

# Sees to it that packages are there. Asks for the network and for root only when one is missing; fails, after saying
# what to install, when it could not be had.
need() { # PACKAGE...
    local missing=() hints='' package evidence meaning
    while IFS='|' read -r package evidence meaning; do
        case " $* " in *" $package "*) ;; *) continue ;; esac
        present "$package" "$evidence" && continue
        missing+=("$package")
        hints+="    $meaning"$'\n'
    done <<<"$packages"
    [ ${#missing[@]} -gt 0 ] || return 0

    if debian; then
        say "Installing ${missing[*]}"
        apt update || true
        apt install -y --no-install-recommends "${missing[@]}" && return
        printf '\nThat did not work. By hand:\n    sudo apt-get install %s\n' "${missing[*]}" >&2
    else
        printf '\nPlease install:\n%s' "$hints" >&2
    fi
    return 1
}

# Goes on without a package as long as the tools that every build starts with are there.
need_to_build() { # PACKAGE...
    need gcc libc6-dev cmake ninja-build pkg-config libopenblas-openmp-dev zlib1g-dev libpng-dev "$@" || true
    local tool version
    for tool in cc cmake ninja; do has $tool || die "Cannot go on without $tool."; done
    version=$(cmake --version | sed -n '1s/[^0-9]*//p')
    [ "$(printf '%s\n' 3.25 "$version" | sort -V | head -n 1)" = 3.25 ] ||
        die "CMake 3.25 or newer is needed, found $version."
}

build() { # NAME CMAKE_OPTION...
    local dir=$root/build/$1 fresh=()
    shift
    # A build folder that was copied here along with the project belongs to the place that it came from.
    if [ -e "$dir/CMakeCache.txt" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$dir/CMakeCache.txt"; then
        fresh=(--fresh)
    fi
    cmake -S "$root" -B "$dir" -G Ninja --log-level=NOTICE ${fresh[@]+"${fresh[@]}"} "$@"
    cmake --build "$dir" --parallel "$jobs"
}
