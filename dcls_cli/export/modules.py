"""The graphs that are exported: the network's own layers, its transforms in real numbers."""

from copy import deepcopy
from functools import partial

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from dcls_cli.export.transforms import (
    MatrixTransform,
    OperatorTransform,
    RealLinearSuperResolver,
    Transform,
    constrained_least_squares,
)
from dcls_cli.graphs import Fft, blur_inputs, statistics_of
from dcls_cli.network.dcls import DCLS, impulse
from dcls_cli.network.deconvolution import ConstrainedLeastSquares, FeatureSmoothing, high_pass
from dcls_cli.network.reformulation import NOISE_TO_SIGNAL
from dcls_cli.network.statistics import joint_gates
from dcls_cli.network.windows import SMOOTHING_MARGIN, SMOOTHING_TAPS

TRANSFORMS: dict[Fft, type[Transform]] = {"dft": OperatorTransform, "matmul": MatrixTransform}


class KernelDecoder(nn.Module):
    """From the pools of an image to its blur."""

    def __init__(self, network: DCLS) -> None:
        """Use the estimator's layers; a kernel is so small that products are its best DFT."""
        super().__init__()
        self.network = network
        self.transform = MatrixTransform()

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Pools (B, D) -> kernel (B, 1, k, k), P (B, C, 3, 3) or None, noise (B,) or None."""
        estimator, k = self.network.estimator, self.network.config.kernel_size
        code = estimator.pooling.code(pooled)
        taps = self.transform.inverse(estimator.deep_linear_kernel.spectrum(code), k)
        kernel = estimator.deep_linear_kernel.normalised(taps)
        blur = self.network.blur(kernel, code)
        return kernel, blur.smoothing, blur.noise


class EstimatorGraph(nn.Module):
    """One window of an image, and what the windows before it gave -> the blur.

    The pools are sums of local features with weights, so the last window's output is the estimate
    of the whole image.
    """

    def __init__(self, network: DCLS) -> None:
        """Use the estimator of a network."""
        super().__init__()
        self.network = network
        self.decoder = KernelDecoder(network)

    def forward(
        self, lr: Tensor, rows: Tensor, columns: Tensor, pooled: Tensor
    ) -> tuple[Tensor, ...]:
        """Add a window to the pools.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            rows: weight of each row of the features, (h,); those that layers without padding
                take off the end of a photo have the weight 0.
            columns: weight of each column, in the same way, (w,).
            pooled: sums of the windows before this one, (B, D).

        Returns:
            The new sums (B, D), kernel (B, 1, k, k), then P and noise where there are such.
        """
        estimator = self.network.estimator
        shallow, deep = estimator.features(lr)
        levels = estimator.pooling.levels(shallow, pad_end(deep, estimator.pooling.margin))
        sums = [(level @ columns[:, None]).squeeze(-1) @ rows for level in levels]
        pooled = pooled + torch.cat(sums, dim=1)
        outputs = (pooled, *self.decoder(pooled))
        return tuple(part for part in outputs if part is not None)


class RestorerGraph(nn.Module):
    """An image or tile whose blur is known -> the picture."""

    def __init__(self, network: DCLS, fft: Fft, *, half: bool) -> None:
        """Use the restorer of a network."""
        super().__init__()
        config = network.config
        self.config = config
        self.dtype = torch.float16 if half else torch.float32
        self.restorer = deepcopy(network.restorer).to(self.dtype)
        self.reformulated = network.reformulated
        self.linear = (
            None
            if network.linear is None
            else RealLinearSuperResolver(network.linear, config.kernel_size)
        )
        taps = torch.zeros(1, 1, config.kernel_size, config.kernel_size)
        self.register_buffer("no_blur", impulse(taps) if config.skip == "interpolation" else None)
        self.no_blur: Tensor | None
        self.transform = TRANSFORMS[fft]()
        deconvolution = self.restorer.deconvolution
        if isinstance(deconvolution, ConstrainedLeastSquares):
            deconvolution.invert = partial(constrained_least_squares, transform=self.transform)
        if isinstance(self.restorer.smoothing, FeatureSmoothing):
            self.restorer.smoothing.pool = adaptive_pool

    def forward(self, lr: Tensor, kernel: Tensor, *statistics: Tensor) -> Tensor:
        """Restore tiles that share one blur.

        Args:
            lr: (B, 3, H, W) in [0, 1].
            kernel: (1, 1, k, k), sum 1.
            statistics: those that `statistics_of` names, in its order.

        Returns:
            (B, 3, s H, s W), not clamped.
        """
        given = dict(zip(statistics_of(self.config), statistics, strict=True))
        linear = self.linear_image(lr, kernel, given.get("noise"))
        return self.restore(lr, kernel, linear, given.get("smoothing"), given.get("gates"))

    def linear_image(
        self, lr: Tensor, kernel: Tensor | None, noise: Tensor | None
    ) -> Tensor | None:
        """The linear super-resolver's image, (B, 3 s^2, H, W), where the network has one."""
        if self.linear is None:
            return None
        ratio = NOISE_TO_SIGNAL if noise is None else noise
        filters = self.linear.filters(self.inverted(kernel), ratio)
        return self.linear.shared(lr, filters)

    def inverted(self, kernel: Tensor | None) -> Tensor:
        """What the linear super-resolver inverts: the blur, or none, which needs no kernel."""
        if self.no_blur is not None:
            return self.no_blur
        assert kernel is not None, "the linear skip inverts the blur"
        return kernel

    def lr_kernel(self, kernel: Tensor) -> Tensor:
        """What is deconvolved with: (1 or B, 1, k, k), in LR pixels."""
        return kernel if self.reformulated is None else self.reformulated(kernel)

    def restore(
        self,
        lr: Tensor,
        kernel: Tensor,
        linear: Tensor | None,
        smoothing: Tensor | None,
        gates: Tensor | None,
    ) -> Tensor:
        """As `forward`, with the linear super-resolver's image (B, 3 s^2, H, W), in fp32."""
        kernel, image = self.lr_kernel(kernel), lr.to(self.dtype)
        restored: Tensor = self.restorer(image, kernel, smoothing, linear, gates)
        return restored.float()


class FusedGraph(nn.Module):
    """An image -> the picture and the kernel; every image of a batch has its own blur."""

    def __init__(self, network: DCLS, fft: Fft, *, half: bool) -> None:
        """Use a whole network; see `RestorerGraph`."""
        super().__init__()
        self.network = network
        self.decoder = KernelDecoder(network)
        self.restorer = RestorerGraph(network, fft, half=half)

    def forward(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> (B, 3, s H, s W), not clamped, and (B, 1, k, k)."""
        estimator = self.network.estimator
        pooled = estimator.pooling.means(*estimator.features(lr))
        kernel, smoothing, noise = self.decoder(pooled)
        linear, resolver = None, self.restorer.linear
        if resolver is not None:
            inverted = self.restorer.inverted(kernel)
            filters = resolver.filters(inverted, NOISE_TO_SIGNAL if noise is None else noise)
            pad = max(self.network.config.kernel_size, resolver.taps // 2)
            linear = resolver.each(lr, filters, pad)
        return self.restorer.restore(lr, kernel, linear, smoothing, None), kernel


def pad_end(features: Tensor, margin: int) -> Tensor:
    """Features of any size, also one that layers without padding would leave nothing of.

    Rows and columns are repeated at the end, as many as such layers take off: they give
    (B, C, H, W) for (B, C, H, W). Where the image is larger than the margin, what is new has the
    weight 0; where it is not, the first pixel is what `levels` and `to_be_pooled` give.
    """
    return F.pad(features, (0, margin, 0, margin), mode="replicate") if margin else features


def adaptive_pool(features: Tensor) -> Tensor:
    """`AdaptiveAvgPool2d(3)` for sides that are not known: (B, C, H, W) -> (B, C, 3, 3).

    Bin i reaches from floor(i n / 3) to ceil((i + 1) n / 3): a product with its weights.
    """
    rows, columns = (_bins(side) for side in features.shape[-2:])
    pooled = rows @ features.float() @ columns.T
    return pooled.to(features.dtype)


def _bins(side: int) -> Tensor:
    """Weight of each pixel in each bin, (3, side)."""
    index = torch.arange(SMOOTHING_TAPS)[:, None]
    start = index * side // SMOOTHING_TAPS
    stop = -(-(index + 1) * side // SMOOTHING_TAPS)
    pixel = torch.arange(side)[None]
    inside = ((pixel >= start) & (pixel < stop)).float()
    return inside / (stop - start).float()


class SmoothingGraph(nn.Module):
    """One window of an image, and what the windows before it gave -> the smoothing filters P.

    The bins of the pool are sums of local features with weights, so the last window's output is
    that of the whole image.
    """

    def __init__(self, network: DCLS) -> None:
        """Use the restorer of a network whose filters come from its features."""
        super().__init__()
        self.config = network.config
        # Nothing is deconvolved before P is known, so the form of the transforms does not matter.
        self.restorer = RestorerGraph(network, "matmul", half=False)

    def forward(
        self, lr: Tensor, rows: Tensor, columns: Tensor, sums: Tensor, *blur: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add a window to the bins.

        Args:
            lr: (B, 3, h, w) in [0, 1].
            rows: weight of each row in the three bins of an axis, (3, h).
            columns: weight of each column, in the same way, (3, w).
            sums: of the windows before this one, (B, C, 3, 3).
            blur: what `blur_inputs` names, in its order.

        Returns:
            The new sums and the filters, (B, C, 3, 3) each.
        """
        smoothing = self.restorer.restorer.smoothing
        assert isinstance(smoothing, FeatureSmoothing)
        blurred = self._blurred(
            lr, dict(zip(blur_inputs("smoothing", self.config), blur, strict=True))
        )
        pooled = smoothing.to_be_pooled(pad_end(blurred, SMOOTHING_MARGIN))
        sums = sums + rows @ pooled @ columns.T
        return sums, high_pass(smoothing.project(sums))

    def _blurred(self, lr: Tensor, blur: dict[str, Tensor]) -> Tensor:
        """What is deconvolved, (B, C, h, w): the image, or features of it."""
        if self.config.deconvolution_space == "rgb":
            return lr
        linear = self.restorer.linear_image(lr, blur.get("kernel"), blur.get("noise"))
        _, features = self.restorer.restorer.head(lr, linear)
        return self.restorer.restorer.blurred(lr, features)


class GatesGraph(nn.Module):
    """All windows of an image at once -> the gates of the channel attention that they share."""

    def __init__(self, network: DCLS, fft: Fft) -> None:
        """Use the restorer of a network with attention; see `RestorerGraph`."""
        super().__init__()
        self.config = network.config
        self.restorer = RestorerGraph(network, fft, half=False)

    def forward(
        self, lr: Tensor, rows: Tensor, columns: Tensor, kernel: Tensor, *statistics: Tensor
    ) -> Tensor:
        """Take means over the windows as if they were one image, block after block.

        Args:
            lr: (N, 3, h, w) in [0, 1].
            rows: weight of each row in the mean of a window, (h,), of sum 1.
            columns: weight of each column, in the same way, (w,).
            kernel: (1, 1, k, k), sum 1.
            statistics: what `blur_inputs` names after it, in its order.

        Returns:
            (1, groups, blocks, F + f).
        """
        given = dict(zip(blur_inputs("gates", self.config), (kernel, *statistics), strict=True))
        linear = self.restorer.linear_image(lr, kernel, given.get("noise"))
        restorer = self.restorer.restorer
        _, features = restorer.head(lr, linear)
        lr_kernel = self.restorer.lr_kernel(kernel)
        paths = restorer.paths(lr, features, lr_kernel, given.get("smoothing"))

        def means(update: Tensor) -> Tensor:
            of_windows = (update @ columns[:, None]).squeeze(-1) @ rows
            return of_windows.mean(0, keepdim=True)

        return joint_gates(restorer, paths, means)
