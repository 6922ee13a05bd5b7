# Waits until whoever holds the other end of its standard input lets go of it, on purpose or by
# dying, and then ends every process that runs in a directory, and removes the directory. Its
# standard output is closed once nothing runs there any more.
directory=$1
trap '' HUP INT TERM
cat >/dev/null

# A process of a server runs in the directory of its data, a client in the one above.
running() {
    find /proc/[0-9]*/cwd -maxdepth 0 \( -lname "$directory" -o -lname "$directory/*" \) \
        -printf '%h\n' 2>/dev/null | cut -d/ -f3
}
signal() {
    for process in $(running); do
        kill -s "$1" "$process" 2>/dev/null
    done
}

# A server that is told to quit ends its children and frees its shared memory. One that had been
# stopped has to be woken for that.
signal QUIT
signal CONT
looks=0
while [ -n "$(running)" ] && [ "$looks" -lt 400 ]; do
    looks=$((looks + 1))
    [ "$looks" -lt 80 ] || signal KILL
    sleep 0.025
done

# A server that was killed could not free it. What is freed here was made by that server, and
# nobody uses it.
for lock in "$directory"/*/postmaster.pid; do
    [ -f "$lock" ] || continue
    segment=$(awk 'NR == 1 { process = $1 } NR == 7 { print process, $2 }' "$lock")
    awk -v segment="$segment" '$5 " " $2 == segment && $7 == 0 { print $2 }' /proc/sysvipc/shm |
        while read -r id; do ipcrm -m "$id"; done
done 2>/dev/null

# Whoever waits may go on: files that have reached the disk take seconds to remove.
exec >/dev/null
rm -rf "$directory"
