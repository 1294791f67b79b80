"""The graphs of what is global beside the kernel: `network.statistics` as modules."""

from torch import Tensor, nn

from dcls_cli.export.modules import RestorerGraph, grown
from dcls_cli.graphs import Fft, blur_inputs
from dcls_cli.network.dcls import DCLS
from dcls_cli.network.deconvolution import FeatureSmoothing, high_pass
from dcls_cli.network.statistics import joint_gates
from dcls_cli.network.windows import SMOOTHING_MARGIN


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
        pooled = smoothing.to_be_pooled(grown(blurred, SMOOTHING_MARGIN))
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
