/* The least a program can do: open, read, print. */
#include <fcntl.h>
#include <unistd.h>

int main(int count, char **words) {
    static char bytes[65536];
    int file = count == 2 ? open(words[1], O_RDONLY) : -1;
    ssize_t length = read(file, bytes, sizeof bytes);
    return length < 0 || write(1, bytes, (size_t)length) != length;
}
