"""Stand-ins for the services of a Sigstore instance, which speak the real protocols: `python standins.py FOLDER`.

An identity provider (tokens only), Fulcio (`/api/v2/signingCert`, with an embedded SCT of a certificate log), Rekor v2
(`/api/v2/log/entries`, a log of one key whose tree lives as long as the process) and a timestamp authority (RFC 3161, by
`openssl ts`). The identity provider hands tokens out as GitHub Actions does, too. Each of the other services answers 503
when it is first asked, as real ones do now and then. Once all of them listen, one line of JSON says where, and FOLDER holds:

    trusted_root.json   what a verifier believes
    token, other-token  identity tokens of two subjects, good for an hour
    expired-token       one of the second subject that was good until a minute ago

Formats: Fulcio's and Rekor's protobuf-specs as JSON, RFC 6962 (SCT, Merkle tree), C2SP signed notes and checkpoints.
"""

import base64
import datetime
import hashlib
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

ISSUER = "https://issuer.invalid"
SUBJECTS = {"token": "builder@operator.invalid", "other-token": "somebody@elsewhere.invalid"}
ORIGIN = "rekor.invalid"
SHA256 = ec.ECDSA(hashes.SHA256())
NOW = datetime.datetime.now(datetime.timezone.utc)
# Certificates and keys are good from a little ago, as clocks differ.
START = NOW - datetime.timedelta(minutes=5)
END = NOW + datetime.timedelta(days=1)


def b64(data):
    return base64.b64encode(data).decode()


def url64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_url64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def spki(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def der(certificate):
    return certificate.public_bytes(serialization.Encoding.DER)


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def canonical(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def utf8_string(text):
    data = text.encode()
    assert len(data) < 128
    return bytes([0x0C, len(data)]) + data


def key_usage(**used):
    every = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: used.get(name, False) for name in every})


def authority(name):
    """A certificate authority: its key and its own certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "stand-in"),
                         x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(START).not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


class Identities:
    """Who signs tokens."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())

    def token(self, email, now=None):
        now = now or int(time.time())
        claims = {"iss": ISSUER, "aud": "sigstore", "sub": email, "email": email, "email_verified": True,
                  "iat": now, "nbf": now - 60, "exp": now + 3600}
        signed = url64(canonical({"alg": "ES256", "typ": "JWT"})) + "." + url64(canonical(claims))
        r, s = utils.decode_dss_signature(self.key.sign(signed.encode(), SHA256))
        return signed + "." + url64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

    def get(self, path, authorization):
        """What a job of GitHub Actions asks for, with the secret that it was given."""
        assert path == "/token?job=1&audience=sigstore" and authorization == "Bearer secret"
        return "application/json", canonical({"value": self.token(SUBJECTS["token"])})

    def claims(self, token):
        head, body, signature = token.split(".")
        raw = from_url64(signature)
        signature = utils.encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        self.key.public_key().verify(signature, f"{head}.{body}".encode(), SHA256)
        claims = json.loads(from_url64(body))
        assert claims["iss"] == ISSUER and claims["aud"] == "sigstore" and claims["exp"] > time.time()
        return claims


class Fulcio:
    """Issues a certificate for ten minutes to whoever shows a token and has the key."""

    def __init__(self, identities):
        self.identities = identities
        self.key, self.certificate = authority("fulcio")
        self.log_key = ec.generate_private_key(ec.SECP256R1())

    def post(self, path, body):
        assert path == "/api/v2/signingCert"
        request = json.loads(body)
        claims = self.identities.claims(request["credentials"]["oidcIdentityToken"])
        wanted = request["publicKeyRequest"]
        key = serialization.load_pem_public_key(wanted["publicKey"]["content"].encode())
        key.verify(base64.b64decode(wanted["proofOfPossession"]), claims["email"].encode(), SHA256)
        chain = [pem(self.issue(key, claims["email"])).decode(), pem(self.certificate).decode()]
        return "application/json", canonical({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}})

    def issue(self, key, email):
        now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=1)
        fulcio = "1.3.6.1.4.1.57264.1."
        builder = (
            x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(self.certificate.subject).public_key(key)
            .serial_number(x509.random_serial_number()).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(minutes=10))
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ObjectIdentifier(fulcio + "1"), ISSUER.encode()), critical=False)
            .add_extension(x509.UnrecognizedExtension(ObjectIdentifier(fulcio + "8"), utf8_string(ISSUER)), critical=False)
        )
        # What the certificate log signs is the certificate without its signature (RFC 6962, 3.2).
        precertificate = builder.sign(self.key, hashes.SHA256()).tbs_certificate_bytes
        milliseconds = int(time.time() * 1000).to_bytes(8, "big")
        issuer = hashlib.sha256(spki(self.key.public_key())).digest()
        signed = (b"\0\0" + milliseconds + b"\0\1" + issuer + len(precertificate).to_bytes(3, "big") + precertificate + b"\0\0")
        signature = self.log_key.sign(signed, SHA256)
        sct = (b"\0" + self.log_id() + milliseconds + b"\0\0" + b"\4\3" + len(signature).to_bytes(2, "big") + signature)
        scts = len(sct).to_bytes(2, "big") + sct
        scts = len(scts).to_bytes(2, "big") + scts
        assert len(scts) < 256
        octets = (bytes([4, len(scts)]) if len(scts) < 128 else bytes([4, 0x81, len(scts)])) + scts
        extension = x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2"), octets)
        return builder.add_extension(extension, critical=False).sign(self.key, hashes.SHA256())

    def log_id(self):
        return hashlib.sha256(spki(self.log_key.public_key())).digest()


class Rekor:
    """A log of version 2."""

    def __init__(self):
        self.key = ed25519.Ed25519PrivateKey.generate()
        self.leaves = []
        self.lock = threading.Lock()

    def key_id(self):
        raw = self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return hashlib.sha256(f"{ORIGIN}\n\1".encode() + raw).digest()

    def post(self, path, body):
        assert path == "/api/v2/log/entries"
        request = json.loads(body)["hashedRekordRequestV002"]
        signature, verifier = request["signature"]["content"], request["signature"]["verifier"]
        digest = base64.b64decode(request["digest"])
        certificate = x509.load_der_x509_certificate(base64.b64decode(verifier["x509Certificate"]["rawBytes"]))
        certificate.public_key().verify(base64.b64decode(signature), digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
        entry = canonical({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": {
            "data": {"algorithm": "SHA2_256", "digest": request["digest"]},
            "signature": {"content": signature, "verifier": verifier}}}})
        with self.lock:
            index = len(self.leaves)
            self.leaves.append(hashlib.sha256(b"\0" + entry).digest())
            root, proof, size = tree(self.leaves), inclusion(index, self.leaves), len(self.leaves)
        text = f"{ORIGIN}\n{size}\n{b64(root)}\n"
        signed = b64(self.key_id()[:4] + self.key.sign(text.encode()))
        return "application/json", canonical({
            "logIndex": str(index), "logId": {"keyId": b64(self.key_id())},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "inclusionProof": {"logIndex": str(index), "rootHash": b64(root), "treeSize": str(size),
                               "hashes": [b64(node) for node in proof],
                               "checkpoint": {"envelope": f"{text}\n\u2014 {ORIGIN} {signed}\n"}},
            "canonicalizedBody": b64(entry)})


def split(count):
    half = 1
    while half * 2 < count:
        half *= 2
    return half


def tree(leaves):
    if len(leaves) == 1:
        return leaves[0]
    half = split(len(leaves))
    return hashlib.sha256(b"\1" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def inclusion(index, leaves):
    if len(leaves) == 1:
        return []
    half = split(len(leaves))
    if index < half:
        return inclusion(index, leaves[:half]) + [tree(leaves[half:])]
    return inclusion(index - half, leaves[half:]) + [tree(leaves[:half])]


class Timestamps:
    """A timestamp authority."""

    def __init__(self, folder):
        self.folder, self.lock = folder, threading.Lock()
        self.key, self.root = authority("timestamps")
        key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = (
            x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "timestamp")]))
            .issuer_name(self.root.subject).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(START).not_valid_after(END)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        (folder / "tsa.pem").write_bytes(pem(self.certificate))
        (folder / "tsa-root.pem").write_bytes(pem(self.root))
        (folder / "tsa.key").write_bytes(key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        (folder / "tsa.serial").write_text("01\n")
        (folder / "tsa.cnf").write_text(f"""[tsa]
default_tsa = it
[it]
serial = {folder}/tsa.serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
certs = {folder}/tsa-root.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384, sha512
ess_cert_id_alg = sha256
""")

    def post(self, path, body):
        with self.lock, tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            query, reply = Path(scratch) / "query", Path(scratch) / "reply"
            query.write_bytes(body)
            subprocess.run(["openssl", "ts", "-reply", "-config", self.folder / "tsa.cnf", "-queryfile", query, "-out", reply],
                           check=True, capture_output=True)
            return "application/timestamp-reply", reply.read_bytes()


def serve(service):
    failures = ["overloaded"]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(lambda: service.get(self.path, self.headers.get("Authorization")), 200)

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if failures:
                self.answer(lambda: ("text/plain", failures.pop().encode()), 503)
            else:
                self.answer(lambda: service.post(self.path, body), 201)

        def answer(self, of, status):
            try:
                kind, answer = of()
                self.send_response(200 if kind == "application/timestamp-reply" else status)
            except (AssertionError, InvalidSignature, KeyError, ValueError, subprocess.CalledProcessError) as error:
                kind, answer = "text/plain", f"{type(error).__name__}: {error}".encode()
                self.send_response(400)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def main():
    folder = Path(sys.argv[1]).resolve()
    identities = Identities()
    fulcio, rekor, timestamps = Fulcio(identities), Rekor(), Timestamps(folder)
    valid = {"start": START.strftime("%Y-%m-%dT%H:%M:%SZ")}
    subject = {"organization": "stand-in", "commonName": "stand-in"}
    chain = lambda *certificates: {"certificates": [{"rawBytes": b64(der(one))} for one in certificates]}
    log = lambda url, key, details, key_id: {
        "baseUrl": url, "hashAlgorithm": "SHA2_256", "logId": {"keyId": b64(key_id)},
        "publicKey": {"rawBytes": b64(spki(key.public_key())), "keyDetails": details, "validFor": valid}}
    urls = {"fulcio": serve(fulcio), "rekor": serve(rekor), "tsa": serve(timestamps), "tokens": serve(identities)}
    (folder / "trusted_root.json").write_text(json.dumps({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log(f"https://{ORIGIN}", rekor.key, "PKIX_ED25519", rekor.key_id())],
        "certificateAuthorities": [{"subject": subject, "uri": "https://fulcio.invalid", "validFor": valid,
                                    "certChain": chain(fulcio.certificate)}],
        "ctlogs": [log("https://ct.invalid", fulcio.log_key, "PKIX_ECDSA_P256_SHA_256", fulcio.log_id())],
        "timestampAuthorities": [{"subject": subject, "uri": "https://tsa.invalid", "validFor": valid,
                                  "certChain": chain(timestamps.certificate, timestamps.root)}],
    }, indent=1))
    for name, email in SUBJECTS.items():
        (folder / name).write_text(identities.token(email))
    (folder / "expired-token").write_text(identities.token(SUBJECTS["other-token"], int(time.time()) - 3660))
    print(json.dumps({**urls, "issuer": ISSUER, "subject": SUBJECTS["token"]}), flush=True)
    threading.Event().wait()


main()
