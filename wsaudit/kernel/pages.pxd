from wsaudit.kernel cimport inline_huge as huge
from wsaudit.kernel cimport inline_mode as mode


cpdef bint prefer_huge()
