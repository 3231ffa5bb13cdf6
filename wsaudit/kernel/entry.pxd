from wsaudit.kernel cimport inline_mode as mode
from wsaudit.kernel.connection cimport Connection


cdef object seconds(object ns)
cdef dict named(tuple names, object values)
cdef dict endpoint(object end)
cdef dict frames_dict(object counts)
cdef dict messages_dict(object counts)
cdef dict close_dict(object close, object place)
cdef dict reported_dict(object reported)
cdef dict application_dict(object beat)
cpdef dict connection_dict(long long number, Connection made, object closing_facts)
