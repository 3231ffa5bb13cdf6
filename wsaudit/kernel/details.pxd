cimport cython

from wsaudit.kernel.endings cimport idle_at
from wsaudit.kernel.frames cimport Scanner
from wsaudit.kernel.packed cimport Packer
from wsaudit.kernel.party cimport CloseFrame, Party
from wsaudit.kernel.streams cimport Stream
from wsaudit.kernel cimport inline_mode as mode



@cython.locals(a=Stream, b=Stream, either="long long", of_client="long long", of_server="long long", data="long long")
cpdef pack_history(Packer packer, Party client, Party server, long long last_packet, long long silence, long long end_time, bint in_tls, long long client_size, long long server_size)

@cython.locals(rows=list)
cpdef pack_last(Packer packer, Party client, Party server)

@cython.locals(reserved="long long", counts="long long *")
cdef pack_frames(Packer packer, Scanner frames)

cdef pack_messages(Packer packer, Scanner frames, long long size)

@cython.locals(close=CloseFrame)
cdef pack_close(Packer packer, Party party)
