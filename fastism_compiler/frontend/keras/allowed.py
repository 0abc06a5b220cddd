"""What a model file may name: classes and functions of Keras that only compute.

A name is here because building and running it reads no file, imports nothing
and runs no Python from the file. What Keras has besides (`TFSMLayer`,
layers that wrap JAX, Flax or PyTorch, what only serves as a base) is left out;
so is every name that a future version adds, until somebody has looked at it.
"""

from __future__ import annotations


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODELS = _names("Functional Model Sequential")

LAYERS = _names("""
    Activation ActivityRegularization AdaptiveAveragePooling1D AdaptiveAveragePooling2D AdaptiveAveragePooling3D
    AdaptiveMaxPooling1D AdaptiveMaxPooling2D AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention
    AugMix AutoContrast Average AveragePooling1D AveragePooling2D AveragePooling3D AvgPool1D AvgPool2D AvgPool3D
    BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate
    ContrastLimitedAdaptiveHistogramEqualization Conv1D Conv1DTranspose Conv2D Conv2DTranspose Conv3D
    Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D Convolution1D Convolution1DTranspose Convolution2D
    Convolution2DTranspose Convolution3D Convolution3DTranspose Cropping1D Cropping2D Cropping3D CutMix Dense
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Equalization Flatten
    GRU GRUCell GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D
    GlobalAveragePooling3D GlobalAvgPool1D GlobalAvgPool2D GlobalAvgPool3D GlobalMaxPool1D GlobalMaxPool2D
    GlobalMaxPool3D GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization
    GroupQueryAttention HashedCrossing Hashing Identity InputLayer InputSpec IntegerLookup LSTM LSTMCell Lambda
    LayerNormalization LeakyReLU Masking MaxNumBoundingBoxes MaxPool1D MaxPool2D MaxPool3D MaxPooling1D
    MaxPooling2D MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization
    PReLU Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
    RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
    RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization
    RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom ReLU RepeatVector
    Rescaling Reshape Resizing ReversibleEmbedding STFTSpectrogram SeparableConv1D SeparableConv2D
    SeparableConvolution1D SeparableConvolution2D SimpleRNN SimpleRNNCell Softmax Solarization SpatialDropout1D
    SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells StringLookup Subtract
    TextVectorization TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D ZeroPadding1D
    ZeroPadding2D ZeroPadding3D
""")

LAYERS_OF_KERAS_2 = _names("""
    BatchNormalizationV1 BatchNormalizationV2 LocallyConnected1D LocallyConnected2D RandomHeight RandomWidth
    SyncBatchNormalization ThresholdedReLU
""")
"""Layers that only Keras 2 has."""

TENSORFLOW_CALLS = _names("TFOpLambda SlicingOpLambda")
"""Layers of Keras 2 that stand for one call of TensorFlow, named by the entry `function` of their configuration."""

VOCABULARY_LAYERS = _names("IntegerLookup StringLookup TextVectorization")
"""Layers that read a file, from anywhere, where their vocabulary is given as text: it must be a list."""

INITIALIZERS = _names("""
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform
    Ones Orthogonal OrthogonalInitializer RandomNormal RandomUniform STFT STFTInitializer TruncatedNormal
    VarianceScaling Zeros constant glorot_normal glorot_uniform he_normal he_uniform identity lecun_normal
    lecun_uniform ones orthogonal random_normal random_uniform stft truncated_normal variance_scaling zeros
""")

REGULARIZERS = _names("L1 L1L2 L2 OrthogonalRegularizer l1 l1_l2 l2 orthogonal_regularizer")

CONSTRAINTS = _names("""
    MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm max_norm min_max_norm non_neg radial_constraint
    unit_norm
""")

ACTIVATIONS = _names("""
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear
    log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus
    sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold
""")

DTYPE_POLICIES = _names("""
    DTypePolicy DTypePolicyMap FloatDTypePolicy Int4DTypePolicy Policy QuantizedDTypePolicy
    QuantizedFloat8DTypePolicy
""")

QUANTIZERS = _names("AbsMaxQuantizer Float8QuantizationConfig Int4QuantizationConfig Int8QuantizationConfig")

LOSSES = _names("""
    BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy CategoricalFocalCrossentropy
    CategoricalGeneralizedCrossEntropy CategoricalHinge Circle CosineSimilarity Dice Hinge Huber KLDivergence
    LogCosh MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError MeanSquaredLogarithmicError Poisson
    SparseCategoricalCrossentropy SquaredHinge Tversky binary_crossentropy binary_focal_crossentropy
    categorical_crossentropy categorical_focal_crossentropy categorical_generalized_cross_entropy
    categorical_hinge circle cosine_similarity ctc dice hinge huber kl_divergence log_cosh mean_absolute_error
    mean_absolute_percentage_error mean_squared_error mean_squared_logarithmic_error poisson
    sparse_categorical_crossentropy squared_hinge tversky
""")

METRICS = LOSSES | _names("""
    AUC Accuracy BinaryAccuracy BinaryIoU CategoricalAccuracy ConcordanceCorrelation F1Score FBetaScore
    FalseNegatives FalsePositives IoU LogCoshError Mean MeanIoU MeanMetricWrapper MeanRelativeError MeanTensor
    OneHotIoU OneHotMeanIoU PearsonCorrelation Precision PrecisionAtRecall R2Score Recall RecallAtPrecision
    RootMeanSquaredError SensitivityAtSpecificity SparseCategoricalAccuracy SparseTopKCategoricalAccuracy
    SpecificityAtSensitivity Sum TopKCategoricalAccuracy TrueNegatives TruePositives binary_accuracy
    categorical_accuracy concordance_correlation pearson_correlation sparse_categorical_accuracy
    sparse_top_k_categorical_accuracy top_k_categorical_accuracy
""")

OPTIMIZERS = _names("""
    Adadelta Adafactor Adagrad Adam AdamW Adamax Ftrl Lamb Lion LossScaleOptimizer Muon Nadam RMSprop SGD
    ScheduleFreeAdamW
""")

SCHEDULES = _names("""
    CosineDecay CosineDecayRestarts ExponentialDecay InverseTimeDecay PiecewiseConstantDecay PolynomialDecay
""")

BY_MODULE = {
    "keras": MODELS | DTYPE_POLICIES,
    "keras.activations": ACTIVATIONS,
    "keras.constraints": CONSTRAINTS,
    "keras.dtype_policies": DTYPE_POLICIES,
    "keras.engine.functional": MODELS,
    "keras.engine.sequential": MODELS,
    "keras.engine.training": MODELS,
    "keras.initializers": INITIALIZERS,
    "keras.layers": LAYERS | LAYERS_OF_KERAS_2,
    "keras.losses": LOSSES,
    "keras.metrics": METRICS,
    "keras.mixed_precision": DTYPE_POLICIES | OPTIMIZERS,
    "keras.models": MODELS,
    "keras.optimizers": OPTIMIZERS,
    "keras.optimizers.legacy": OPTIMIZERS,
    "keras.optimizers.schedules": SCHEDULES,
    "keras.quantizers": QUANTIZERS,
    "keras.random": _names("SeedGenerator"),
    "keras.regularizers": REGULARIZERS,
    "keras.src.engine.functional": MODELS,
    "keras.src.engine.sequential": MODELS,
    "keras.src.engine.training": MODELS,
    "keras.src.layers.core.tf_op_layer": TENSORFLOW_CALLS,
    "keras.src.losses.losses": LOSSES,
    "keras.src.models.functional": MODELS,
    "keras.src.models.model": MODELS,
    "keras.src.models.sequential": MODELS,
    "keras.layers.core.tf_op_layer": TENSORFLOW_CALLS,
    "builtins": ACTIVATIONS | LOSSES | METRICS,
}
"""Module in a file (a leading `tf_` left out) -> what may be taken from it."""

WITHOUT_MODULE = (
    MODELS | LAYERS | LAYERS_OF_KERAS_2 | TENSORFLOW_CALLS | INITIALIZERS | REGULARIZERS | CONSTRAINTS | DTYPE_POLICIES
)
"""What HDF5 files name without a module."""

OPERATION_MODULES = frozenset(f"keras.src.ops.{name}" for name in _names("core einops image linalg math nn numpy"))
"""Modules of Keras whose `Operation` classes are nodes of a graph; all of them compute and do nothing else."""

FUNCTIONS_OF_OPS = "keras.ops"
"""Module whose functions a file may name, `keras.ops.sin` for example; they too only compute."""

PLAIN_DATA = _names("""
    __bytes__ __ellipsis__ __keras_tensor__ __numpy__ __slice__ __tensor__ __tuple__ TensorShape
""")
"""What stands for data that JSON cannot hold."""

BYTECODE = "__lambda__"
"""What carries Python bytecode. A `Lambda` layer does, too, unless its function is one that the file only names."""

TENSORFLOW_FAMILIES = _names("__operators__ bitwise linalg math nn signal")
"""`TFOpLambda` may call any `math.NAME` of TensorFlow, and so on; none of them reads, writes or runs Python."""

TENSORFLOW_NAMES = _names("""
    argsort batch_to_space boolean_mask broadcast_dynamic_shape broadcast_static_shape broadcast_to cast
    clip_by_norm clip_by_value concat convert_to_tensor einsum ensure_shape expand_dims eye fill gather
    gather_nd identity identity_n linspace meshgrid no_op norm one_hot ones ones_like pad range rank realdiv
    repeat reshape reverse reverse_sequence roll scatter_nd searchsorted sequence_mask shape shape_n size slice
    sort space_to_batch split squeeze stack stop_gradient strided_slice tensor_scatter_nd_add
    tensor_scatter_nd_max tensor_scatter_nd_min tensor_scatter_nd_sub tensor_scatter_nd_update tensordot tile
    transpose truncatediv truncatemod unique unravel_index unstack where zeros zeros_like
""")
"""Further functions of TensorFlow that `TFOpLambda` may call."""

TYPE_SPECS = _names("__typespec__ TypeSpec CompositeTensor")
"""Descriptions of types, which Keras resolves before it looks at what the user gave. Not allowed."""
