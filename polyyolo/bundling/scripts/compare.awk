# Reads reference values, a line "=", then the pieces of trtexec's JSON between its commas and brackets, one a line.
# Prints the power of output `name` against the power of its error, in dB, and the largest error.
# The logarithm is made of squares: a BusyBox may be built without awk's own.
function log10(ratio, whole, part, bit) {
  while (ratio >= 10) { ratio /= 10; whole++ }
  while (ratio < 1) { ratio *= 10; whole-- }
  for (bit = 0.5; bit > 0.0005; bit /= 2) {
    ratio *= ratio
    if (ratio >= 10) { ratio /= 10; part += bit }
  }
  return whole + part
}
BEGIN { seen = known = 0; wanted = "\"" name "\"" }
!json && $0 == "=" { json = 1; next }
!json { for (field = 1; field <= NF; field++) expected[known++] = $field; next }
/"name"/ { here = index($0, wanted) > 0; next }
/"/ { next }
here && NF == 1 {
  got = $1 + 0
  if ($1 ~ /[nN][aA][nN]|[iI][nN][fF]/) broken++
  error = got - expected[seen]
  signal += expected[seen] * expected[seen]
  noise += error * error
  if (error < 0) error = -error
  if (error > largest) largest = error
  seen++
}
END {
  if (broken) { printf "%d values that are no numbers", broken; exit }
  if (!known || seen != known) { printf "%d values where %d are expected", seen, known; exit }
  if (!signal) { printf "nothing but zeros are expected"; exit }
  printf "%.1f dB, largest error %.3g", noise ? 10 * log10(signal / noise) : 200, largest
}
