# ruff: noqa
# fmt: off
"""An independent numpy/scipy oracle of the Gaussian8 evaluation protocol, for tests to compare with.

Images are float64 arrays (H, W, C) in [0, 1], RGB. It shares no code with the package, and is left
as it was when it was checked against published figures: neither formatted nor linted.
"""
import math
import numpy as np
from scipy import sparse
from scipy.ndimage import correlate1d

# ---------- kernels ----------
def gauss1d(l, sigma, shift=0.0):
    ax = np.arange(l) - (l // 2 if l % 2 else l / 2 - 0.5) - shift
    g = np.exp(-ax**2 / (2 * sigma**2))
    return g / g.sum()

def gauss_iso(l, sigma):
    g = gauss1d(l, sigma)
    return np.outer(g, g)

# ---------- blur (isotropic -> separable, exactly equal to the 2-D 21x21 kernel) ----------
PADMODE = {"reflect": "mirror", "replicate": "nearest", "zero": "constant", "symmetric": "reflect", "circular": "wrap"}
def blur(img, sigma, l=21, pad="reflect"):
    g = gauss1d(l, sigma)
    out = correlate1d(img, g, axis=0, mode=PADMODE[pad])
    return correlate1d(out, g, axis=1, mode=PADMODE[pad])

# ---------- MATLAB-style imresize ----------
def cubic(x, a=-0.5):
    x = np.abs(x); x2 = x * x; x3 = x2 * x
    return np.where(x <= 1, (a + 2) * x3 - (a + 3) * x2 + 1,
                    np.where(x <= 2, a * x3 - 5 * a * x2 + 8 * a * x - 4 * a, 0.0))

_cache = {}
def resize_matrix(n_in, n_out, scale, antialias=True, a=-0.5, edge="symmetric"):
    key = (n_in, n_out, scale, antialias, a, edge)
    if key in _cache:
        return _cache[key]
    s = min(scale, 1.0) if antialias else 1.0
    width = 4.0 / s
    x = np.arange(1, n_out + 1, dtype=np.float64)
    u = x / scale + 0.5 * (1 - 1 / scale)          # 1-based source coordinate
    left = np.floor(u - width / 2)
    P = int(math.ceil(width)) + 2
    idx = left[:, None] + np.arange(P)[None]
    w = s * cubic(s * (u[:, None] - idx), a)
    w /= w.sum(1, keepdims=True)
    idx = idx.astype(int) - 1
    if edge == "symmetric":
        m = np.mod(idx, 2 * n_in)
        idx = np.where(m < n_in, m, 2 * n_in - 1 - m)
    else:                                            # replicate
        idx = np.clip(idx, 0, n_in - 1)
    rows = np.repeat(np.arange(n_out), P)
    M = sparse.csr_matrix((w.ravel(), (rows, idx.ravel())), shape=(n_out, n_in))
    _cache[key] = M
    return M

def imresize(img, scale, antialias=True, a=-0.5, edge="symmetric"):
    h, w = img.shape[:2]
    oh, ow = int(math.ceil(h * scale - 1e-9)), int(math.ceil(w * scale - 1e-9))
    A = resize_matrix(h, oh, scale, antialias, a, edge)
    B = resize_matrix(w, ow, scale, antialias, a, edge)
    c = img.shape[2] if img.ndim == 3 else 1
    x = img.reshape(h, -1)
    x = (A @ x).reshape(oh, w, c)
    x = np.ascontiguousarray(x.transpose(1, 0, 2)).reshape(w, -1)
    x = (B @ x).reshape(ow, oh, c).transpose(1, 0, 2)
    return x if img.ndim == 3 else x[:, :, 0]

def q8(x):
    return np.clip(np.round(x * 255.0), 0, 255) / 255.0

def to_y(img):          # [0,1] RGB -> Y in [16,235] float (bgr2ycbcr(only_y) of the official code, not rounded)
    return img @ np.array([65.481, 128.553, 24.966]) + 16.0

def psnr(a, b):
    return 10 * math.log10(255.0**2 / np.mean((a - b) ** 2))

def ssim(a, b):
    g = gauss1d(11, 1.5)
    def f(z):
        return correlate1d(correlate1d(z, g, axis=0), g, axis=1)[5:-5, 5:-5]
    m1, m2 = f(a), f(b)
    s1, s2, s12 = f(a * a) - m1 * m1, f(b * b) - m2 * m2, f(a * b) - m1 * m2
    C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    return np.mean((2 * m1 * m2 + C1) * (2 * s12 + C2) / ((m1**2 + m2**2 + C1) * (s1 + s2 + C2)))

SIG = {2: np.linspace(0.8, 1.6, 8), 3: np.linspace(1.35, 2.40, 8), 4: np.linspace(1.8, 3.2, 8)}
