! check_gradient.f90: a gradient in Fortran, right and with a slip, against finite differences. The report counts the
! elements from 0, as C does.
!
!     gfortran check_gradient.f90 $(pkg-config --cflags --libs gradus) && ./a.out

! What check.h and check_plain.h declare, as far as it is needed: take it over into programs of your own.
module gradus_check
    use, intrinsic :: iso_c_binding
    implicit none

    integer(c_int), parameter :: GR_OK = 0, GR_CHECK_PASS = 0, GR_CHECK_FAIL = 1

    ! The fields in their order in C. Of a vector y(x) with m elements the Jacobian is an array j(n, m), with
    ! dy(i) / dx(k) in j(k, i), as Fortran lets the first index run fastest.
    type, bind(C) :: gr_plain
        type(c_funptr) :: f = c_null_funptr, gradient = c_null_funptr
        type(c_funptr) :: vector = c_null_funptr, jacobian = c_null_funptr
        type(c_ptr) :: row = c_null_ptr, column = c_null_ptr
        integer(c_int64_t) :: nonzeros = 0
        type(c_funptr) :: hessian_vector = c_null_funptr
        integer(c_int64_t) :: n = 0, m = 0
        type(c_ptr) :: scale = c_null_ptr, lower = c_null_ptr, upper = c_null_ptr
        logical(c_bool) :: is_float = .false.
        type(c_ptr) :: names = c_null_ptr, context = c_null_ptr
    end type

    ! The first field, and room for all others.
    type, bind(C) :: gr_check_report
        integer(c_int) :: verdict
        integer(c_int64_t) :: others(1024)
    end type

    interface
        integer(c_int) function gr_check_plain(problem, x, options, report) bind(C)
            import :: c_int, c_double, c_ptr, gr_plain, gr_check_report
            type(gr_plain), intent(in) :: problem
            real(c_double), intent(in) :: x(*)
            type(c_ptr), value :: options
            type(gr_check_report), intent(out) :: report
        end function

        integer(c_size_t) function gr_check_format(text, capacity, report) bind(C)
            import :: c_size_t, c_char, gr_check_report
            character(kind=c_char), intent(out) :: text(*)
            integer(c_size_t), value :: capacity
            type(gr_check_report), intent(in) :: report
        end function
    end interface
end module

! The valley of Rosenbrock in three dimensions, as anyone would write it, but for bind(C) and the context.
module valley
    use, intrinsic :: iso_c_binding
    implicit none
    integer, parameter :: n = 3

contains

    real(c_double) function f(x, context) bind(C)
        real(c_double), intent(in) :: x(n)
        type(c_ptr), value :: context
        f = sum(100 * (x(2:n) - x(1:n-1)**2)**2 + (1 - x(1:n-1))**2)
    end function

    integer(c_int) function gradient(x, g, context) bind(C)
        real(c_double), intent(in) :: x(n)
        real(c_double), intent(out) :: g(n)
        type(c_ptr), value :: context
        g = 0
        g(1:n-1) = -400 * x(1:n-1) * (x(2:n) - x(1:n-1)**2) - 2 * (1 - x(1:n-1))
        g(2:n) = g(2:n) + 200 * (x(2:n) - x(1:n-1)**2)
        gradient = 0
    end function

    ! The same with = for +=: what x(2) adds as a left neighbour is lost.
    integer(c_int) function gradient_with_slip(x, g, context) bind(C)
        real(c_double), intent(in) :: x(n)
        real(c_double), intent(out) :: g(n)
        type(c_ptr), value :: context
        g = 0
        g(1:n-1) = -400 * x(1:n-1) * (x(2:n) - x(1:n-1)**2) - 2 * (1 - x(1:n-1))
        g(2:n) = 200 * (x(2:n) - x(1:n-1)**2)
        gradient_with_slip = 0
    end function
end module

program check_gradient
    use gradus_check
    use valley
    implicit none
    if (verdict_on(c_funloc(gradient)) /= GR_CHECK_PASS) error stop 'the right gradient does not pass'
    if (verdict_on(c_funloc(gradient_with_slip)) /= GR_CHECK_FAIL) error stop 'the wrong gradient does not fail'

contains

    integer(c_int) function verdict_on(its_gradient)
        type(c_funptr), intent(in) :: its_gradient
        type(gr_plain) :: problem
        type(gr_check_report) :: report
        character(kind=c_char) :: text(4096)
        integer :: length
        problem = gr_plain(f=c_funloc(f), gradient=its_gradient, n=n)
        if (gr_check_plain(problem, [-1.2d0, 1.0d0, 0.5d0], c_null_ptr, report) /= GR_OK) error stop 'no check'
        length = int(gr_check_format(text, size(text, kind=c_size_t), report))
        write (*, '(*(a))') text(1:min(length, size(text) - 1))
        verdict_on = report%verdict
    end function
end program
