# SPDX-License-Identifier: Apache-2.0
# Keys: made, shown, refused.
say() { echo "\$ $*" && "$@" || echo "exit $?"; }

say otaforge key new image.pem
stat -c '%a %n' image.pem
say otaforge key new image.pem
say otaforge key new none/image.pem
say otaforge key new --type p384 other.pem
say otaforge key new --cert c.pem other.pem
say otaforge key new --type rsa2048 other.pem
say otaforge key new --type rsa2048 --cert cert.pem --subject 'Demo Developer' rsa.pem
openssl x509 -in cert.pem -noout -subject -nameopt RFC2253
openssl verify -CAfile cert.pem cert.pem

otaforge key show image.pem >shown
openssl pkey -in image.pem -pubout -out public.pem
otaforge key show public.pem | diff - shown && echo "the public half shows the same"
sed -E 's/[0-9a-f]{16,}/HEX/' shown
grep -c PRIVATE shown || true
# X and Y as openssl has them
hex=$(openssl pkey -in image.pem -pubout -outform DER | tail -c 64 | od -An -v -tx1 | tr -d ' \n')
otaforge key show image.pem --json | python3 -c "import json, sys; print(json.load(sys.stdin)['public'] == '$hex')"
otaforge key show rsa.pem | head -n 2

echo "# refused"
say otaforge key show none.pem
say otaforge key show cert.pem
say otaforge key show pkcs11:object=x
chmod 640 image.pem
say otaforge key show image.pem
chmod 600 image.pem
printf 'x' >not-a-key
say otaforge key show not-a-key
say otaforge key show
