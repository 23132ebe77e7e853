"""A server with the endpoints of the Hugging Face Hub that huggingface_hub calls to upload and to fetch a model."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = 'hf_secretsecretsecret'


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Print nothing: a client that refuses a file closes its connection."""


class HubServer:
    """Repositories in memory: ``files[repository][revision][path]`` is the content.

    Attributes:
        objects: content of large files, by SHA-256.
        private: repositories that need the token.
        truncate: send only half of each large file.
        replace: content that is sent in place of each large file.
        redirect: address to which the download of a file is sent in place of its own.
        plain: state no SHA-256 of the files.
        requests: method and path of each request.
        tokens: paths of requests with a token.
    """

    def __init__(self) -> None:
        self.files: dict[str, dict[str, dict[str, bytes]]] = {}
        self.objects: dict[str, bytes] = {}
        self.private: set[str] = set()
        self.truncate, self.plain, self.closed = False, False, False
        self.replace: bytes | None = None
        self.redirect: str | None = None
        self.requests: list[str] = []
        self.tokens: list[str] = []
        self._server = _Server(('127.0.0.1', 0), type('Handler', (_Handler,), {'hub': self}))
        self.url = f'http://127.0.0.1:{self._server.server_address[1]}'
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, repository: str, path: str, content: bytes, revision: str = 'main') -> None:
        """Store a file."""
        self.files.setdefault(repository, {}).setdefault(revision, {})[path] = content
        self.objects[hashlib.sha256(content).hexdigest()] = content

    def close(self) -> None:
        """Stop the server; open connections end at their next request."""
        self.closed = True
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_GET

    def _handle(self) -> None:
        if self.hub.closed:
            self.close_connection = True
            return
        path = unquote(urlsplit(self.path).path)
        self.body = self.rfile.read(int(self.headers.get('Content-Length') or 0))
        if self.headers.get('Transfer-Encoding') == 'chunked':
            while size := int(self.rfile.readline(), 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.hub.requests.append(f'{self.command} {path}')
        if 'Authorization' in self.headers:
            self.hub.tokens.append(path)
        parts = path.strip('/').split('/')
        if parts[0] == 'storage':
            self._storage(parts[1])
        elif path == '/api/validate-yaml':
            self._json({'errors': [], 'warnings': []})
        elif path == '/api/repos/create':
            self._create()
        elif parts[:2] == ['api', 'models']:
            self._model('/'.join(parts[2:4]), *parts[4:])
        elif path.endswith('.git/info/lfs/objects/batch'):
            self._batch()
        elif len(parts) > 4 and parts[2] == 'resolve':
            self._resolve('/'.join(parts[:2]), parts[3], '/'.join(parts[4:]))
        else:
            self._answer(404)

    def _answer(self, status: int, body: bytes = b'', **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace('_', '-'), value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), Content_Type='application/json')

    def _refused(self, repository: str) -> bool:
        allowed = self.headers.get('Authorization') == f'Bearer {TOKEN}'
        if repository in self.hub.private and not allowed:
            self._answer(401, X_Error_Code='RepoNotFound')
        elif repository not in self.hub.files:
            self._answer(404, X_Error_Code='RepoNotFound')
        else:
            return False
        return True

    def _create(self) -> None:
        if self.headers.get('Authorization') != f'Bearer {TOKEN}':
            self._answer(401)
            return
        asked = json.loads(self.body)
        repository = f'{asked["organization"]}/{asked["name"]}'
        self.hub.files.setdefault(repository, {'main': {}})
        self._json({'url': f'{self.hub.url}/{repository}', 'id': repository})

    def _model(self, repository: str, what: str = '', revision: str = 'main', *more: str) -> None:
        if self._refused(repository):
            return
        files = self.hub.files[repository]
        revision = '/'.join((revision, *more))
        if what == 'preupload':
            asked = json.loads(self.body)['files']
            mode = {True: 'lfs', False: 'regular'}
            self._json(
                {
                    'files': [
                        dict(
                            path=f['path'],
                            uploadMode=mode[f['path'].endswith(('.safetensors', '.pth'))],
                            shouldIgnore=False,
                        )
                        for f in asked
                    ]
                }
            )
        elif what == 'commit':
            for line in self.body.splitlines():
                entry = json.loads(line)
                value = entry['value']
                if entry['key'] == 'file':
                    self.hub.put(repository, value['path'], base64.b64decode(value['content']), revision)
                elif entry['key'] == 'lfsFile':
                    self.hub.put(repository, value['path'], self.hub.objects[value['oid']], revision)
            commit = hashlib.sha1(self.body).hexdigest()
            files[commit] = dict(files[revision])
            self._json(
                {'success': True, 'commitOid': commit, 'commitUrl': f'{self.hub.url}/{repository}/commit/{commit}'}
            )
        elif revision not in files:
            self._answer(404, X_Error_Code='RevisionNotFound')
        else:
            self._json({'id': repository, 'sha': '0' * 40, 'siblings': [{'rfilename': f} for f in files[revision]]})

    def _batch(self) -> None:
        objects = [
            {**each, 'actions': {'upload': {'href': f'{self.hub.url}/storage/{each["oid"]}'}}}
            for each in json.loads(self.body)['objects']
        ]
        self._json({'transfer': 'basic', 'objects': objects})

    def _storage(self, digest: str) -> None:
        if self.command == 'PUT':
            assert hashlib.sha256(self.body).hexdigest() == digest
            self.hub.objects[digest] = self.body
            self._answer(200)
            return
        content = self.hub.objects[digest] if self.hub.replace is None else self.hub.replace
        if not self.hub.truncate:
            self._answer(200, content)
            return
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.close_connection = True

    def _resolve(self, repository: str, revision: str, path: str) -> None:
        if self._refused(repository):
            return
        files = self.hub.files[repository]
        if revision not in files or path not in files[revision]:
            self._answer(404, X_Error_Code='EntryNotFound' if revision in files else 'RevisionNotFound')
            return
        content = files[revision][path]
        digest = hashlib.sha256(content).hexdigest()
        stated = {} if self.hub.plain else {'X_Linked_Etag': f'"{digest}"', 'X_Linked_Size': str(len(content))}
        # another host name than the Hub's, as that of its storage
        storage = self.hub.url.replace('127.0.0.1', 'localhost')
        address = self.hub.redirect or f'{storage}/storage/{digest}?signature=secretsignature'
        self._answer(302, Location=address, X_Repo_Commit='0' * 40, ETag='"0123"', **stated)
