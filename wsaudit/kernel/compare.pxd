cimport cython

from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel.connection cimport Connection


@cython.locals(row=Connection, i="int")
cpdef number(list rows)

@cython.locals(row=Connection, before="long long")
cpdef bint in_order_of_start(list rows) except *

@cython.locals(row=Connection, groups=dict, found=list, apart=list, known=list)
cpdef tuple alike(list rows)

@cython.locals(row=Connection, counts=dict, examples=list, key=tuple, found=dict)
cpdef list kinds(list rows)

@cython.locals(row=Connection, groups=dict, key=tuple, client=tuple, known=list)
cpdef list by_client(list rows)

@cython.locals(row=Connection, groups=dict, known=list)
cpdef dict by_server(list rows)

@cython.locals(row=Connection, groups=dict, client=tuple, known=list)
cpdef dict by_client_host(list rows)

@cython.locals(row=Connection, first=Connection, last=Connection)
cpdef tuple first_and_last(list rows)

@cython.locals(row=Connection, found=list)
cpdef list without_tls(list rows)

@cython.locals(row=Connection, found=list)
cpdef list with_tls(list rows)

@cython.locals(row=Connection, found=list)
cpdef list with_mask_keys(list rows)

@cython.locals(row=Connection, found=list, end="long long")
cpdef list at_once(list rows)

@cython.locals(before=Connection, after=Connection, found=list, open_until="long long")
cpdef list successions(list rows)

@cython.locals(row=Connection, counts=dict)
cpdef dict agents_accepted(list rows)

@cython.locals(row=Connection, groups=dict, target=str, known=list)
cpdef list by_path(list rows)

@cython.locals(numbers="long long[::1]", places="long long[::1]", number=object, i="Py_ssize_t", ordered=list)
cpdef list by_connection(list findings, dict ids, long long rows)

@cython.locals(found=list, before="long long", packet_before="long long", key="long long", packet="long long", start="Py_ssize_t", i="Py_ssize_t", grows="bint")
cpdef list unsettled(list findings)

@cython.locals(groups=dict, key=tuple, group=tuple, connections=set, faults=dict)
cpdef dict rule_groups(list findings, dict ids)
